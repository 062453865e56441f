"""A Flask API that accepts the access tokens of another server. It issues none.

Of an Unexpired server that signs with EdDSA or ES256, or of any issuer, such as Keycloak:

    export KEYS=https://sign-in.example/.well-known/jwks.json
    export ISSUER=https://issuer.example AUDIENCE=https://orders.example  # Or these two.

It is served by ``flask --app examples/flask_api/app run``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, current_app, g, request

from unexpired_server import Call, Failure, Forbidden, JWKSVerifier, failure_response

View = Callable[..., Any]

# One for the program: its workers share it, and it fetches the keys once for all requests.
verifier = JWKSVerifier(
    os.environ.get("KEYS"), issuer=os.environ.get("ISSUER"), audience=os.environ.get("AUDIENCE")
)
app = Flask(__name__)
app.register_error_handler(Failure, failure_response)


def requires(*scopes: str) -> Callable[[View], View]:
    """Let a view be called only with an access token that has these scopes."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            call = Call(request.method, request.url, request.headers.get("DPoP"))
            g.user = verifier.authenticate_sync(request.headers.get("Authorization"), call)
            if not g.user.scopes.issuperset(scopes):
                raise Forbidden(scopes=scopes)
            return current_app.ensure_sync(view)(*args, **kwargs)

        return guarded

    return decorate


@app.get("/")
def books() -> dict[str, Any]:
    """Return what everybody may see."""
    return {"books": ["Emma"]}


@app.get("/orders")
@requires()
def orders() -> dict[str, Any]:
    """Return the user's orders."""
    return {"user": g.user.user_id, "orders": []}


@app.delete("/orders/<int:number>")
@requires("orders:write")
def cancel(number: int) -> dict[str, Any]:
    """Cancel an order, which not every user may."""
    return {"cancelled": number, "client": g.user.claims.get("azp")}
