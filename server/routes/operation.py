"""What those who run the server, and other services, ask it."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.database import Database
from server.keys import KeyRing
from server.replies import reply

JWKS_SECONDS = 300
"""How long others may keep the public keys; one that they do not know makes them ask anew."""


class Operation:
    """The routes about the server itself.

    Args:
        database: What it needs to be ready.
        ring: The keys, of which it shows the public ones.
    """

    def __init__(self, database: Database, ring: KeyRing) -> None:
        self._database = database
        self._ring = ring

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/.well-known/jwks.json", self.jwks),
        ]

    async def healthz(self, _request: Request) -> Response:
        """Whether the process answers at all; it does not ask the database."""
        return reply({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Whether it can serve: 503 while the database does not answer."""
        await self._database.answers()
        return reply({"status": "ok"})

    async def jwks(self, _request: Request) -> Response:
        """The public keys, with which other services verify our access tokens (RFC 7517)."""
        headers = {"Cache-Control": f"public, max-age={JWKS_SECONDS}"}
        return JSONResponse(self._ring.public(), headers=headers)
