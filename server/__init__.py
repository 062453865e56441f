"""The Unexpired server: issues, verifies, renews and revokes the tokens of a session.

Reading order is import order; each module imports only those before it:
encoding, strict_json, weakness, errors, metrics, logs, settings, key_file, keys, compact, tokens,
remote, sessions, schema, migrate, group_commit, database, users, audit, store, notes, passwords,
rates, revocations, replies, bodies, bearer, background, middleware, openapi, routes, service, app,
protocol, serve, cli.
"""
