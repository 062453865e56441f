"""The Unexpired server: issues, verifies, renews and revokes the tokens of a session.

Reading order is import order; each module imports only those before it:
encoding, strict_json, weakness, errors, settings, keys, compact, tokens, sessions, schema,
migrate, database, users, audit, store, notes, passwords, revocations, replies, bodies, bearer,
background, middleware, routes, app, serve, cli.
"""
