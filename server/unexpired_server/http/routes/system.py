"""The routes for operators and other services: health, metrics, keys, OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from unexpired_server.errors import NotFound, Unavailable
from unexpired_server.http.failure_response import NO_STORE
from unexpired_server.http.models import ResponseModel
from unexpired_server.http.openapi import Operation, document
from unexpired_server.http.responses import json_response
from unexpired_server.ops.metrics import Metrics
from unexpired_server.ops.readiness import Readiness
from unexpired_server.tokens.key_file import PUBLISHED_SECONDS
from unexpired_server.tokens.keys import KeyRing


class StatusOut(ResponseModel):
    """That all is well."""

    status: Literal["ok"]


class KeySetOut(ResponseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


KEYS = Operation("get", "/.well-known/jwks.json", "The public keys", KeySetOut, ())

OPERATIONS = (
    Operation("get", "/healthz", "Whether the process answers", StatusOut, ()),
    Operation("get", "/readyz", "Whether it can serve", StatusOut, (Unavailable,)),
    KEYS,
)


class KeyRoutes:
    """The route that publishes the public keys.

    Args:
        ring: The keys.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route(KEYS.path, self.jwks)]

    async def jwks(self, _request: Request) -> Response:
        """Return the public keys, for services that verify our tokens (RFC 7517)."""
        headers = {"Cache-Control": f"public, max-age={PUBLISHED_SECONDS}"}
        return json_response(KeySetOut(keys=self._ring.public()), headers=headers)


class SystemRoutes:
    """The routes about the server itself.

    Args:
        readiness: The checks of ``/readyz``.
        ring: The keys, of which the public ones are published.
        metrics: The metrics.
        operations: All operations of the application, for the OpenAPI document.
    """

    def __init__(
        self,
        readiness: Readiness,
        ring: KeyRing,
        metrics: Metrics,
        operations: Sequence[Operation],
    ) -> None:
        self._readiness = readiness
        self._ring = ring
        self._metrics = metrics
        self._operations = operations

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
            *KeyRoutes(self._ring).routes(),
        ]

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document(self._operations)

    async def healthz(self, _request: Request) -> Response:
        """Answer while the process runs, without a query."""
        return json_response(StatusOut(status="ok"))

    async def readyz(self, _request: Request) -> Response:
        """Answer while the server can serve; otherwise 503, with the reasons."""
        await self._readiness.check()
        return json_response(StatusOut(status="ok"))

    async def metrics(self, _request: Request) -> Response:
        """Return all metrics, in Prometheus' text format."""
        exposition = self._metrics.exposition()
        if exposition is None:
            raise NotFound
        content, media_type = exposition
        return Response(content, media_type=media_type, headers=NO_STORE)

    async def openapi(self, _request: Request) -> Response:
        """Return the OpenAPI 3.1 document."""
        return JSONResponse(self._document)
