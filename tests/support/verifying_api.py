"""An API of somebody else's in FastAPI, which takes the tokens of an identity provider."""

from __future__ import annotations

import socket
import threading
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware

from tests.support import plain_http
from unexpired_server import Auth, JWKSVerifier

STOP_SECONDS = 30.0


class VerifyingApi:
    """An API on a free port, in a thread of the test's own process, for a ``with`` block.

    ``GET /me`` responds with the user's id and scopes.

    Args:
        issuer: The provider.
        audience: Its own name there.
        *origins: Whose pages may call it.

    Attributes:
        url: Its address.
        app: The application, to which a test may add routes before it starts.
        user: Returns the user of a request.
    """

    def __init__(self, issuer: str, audience: str, *origins: str) -> None:
        auth = Auth(verifier=JWKSVerifier(issuer=issuer, audience=audience, leeway=1))
        self.app = app = FastAPI(lifespan=auth.lifespan)
        self.user = auth.user
        auth.install(app)
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_headers=["authorization", "dpop"],
            expose_headers=["www-authenticate", "dpop-nonce"],
        )

        @app.get("/me")
        async def me(request: Request) -> dict[str, Any]:
            user = await auth.user(request)
            return {"id": user.id, "scopes": sorted(user.scopes)}

        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        # Outside the main thread uvicorn takes no signals.
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), daemon=True
        )

    def __enter__(self) -> Self:
        """Start; the listener holds connections until it serves."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        self._listener.close()

    def refusal_of(self, token: str) -> str:
        """Return the code with which it refuses a bearer token; empty if it takes it."""
        headers = {"Authorization": f"Bearer {token}"}
        response = plain_http.get(f"{self.url}/me", headers=headers)
        return str(response.json().get("code", ""))
