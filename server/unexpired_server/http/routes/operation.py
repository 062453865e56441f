"""What those who run the server, and other services, ask it."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from unexpired_server.http.openapi import document
from unexpired_server.http.responses import NO_STORE, json_response
from unexpired_server.ops.metrics import Metrics
from unexpired_server.storage.database import Database
from unexpired_server.tokens.keys import KeyRing

JWKS_SECONDS = 300
"""How long others may keep the public keys; one that they do not know makes them ask anew."""


class Operation:
    """The routes about the server itself.

    Args:
        database: What it needs to be ready.
        ring: The keys, of which it shows the public ones.
        metrics: What it has counted.
    """

    def __init__(self, database: Database, ring: KeyRing, metrics: Metrics) -> None:
        self._database = database
        self._ring = ring
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
            Route("/.well-known/jwks.json", self.jwks),
        ]

    async def healthz(self, _request: Request) -> Response:
        """Whether the process answers at all; it does not ask the database."""
        return json_response({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Whether it can serve: 503 while the database does not answer."""
        await self._database.answers()
        return json_response({"status": "ok"})

    async def metrics(self, _request: Request) -> Response:
        """Everything counted, in Prometheus' text format."""
        return Response(self._metrics.shown(), media_type=CONTENT_TYPE_LATEST, headers=NO_STORE)

    async def openapi(self, _request: Request) -> Response:
        """This API, described for programs (OpenAPI 3.1)."""
        return JSONResponse(document())

    async def jwks(self, _request: Request) -> Response:
        """The public keys, with which other services verify our access tokens (RFC 7517)."""
        headers = {"Cache-Control": f"public, max-age={JWKS_SECONDS}"}
        return JSONResponse(self._ring.public(), headers=headers)
