"""Pure ASGI middleware: headers on every response, the request log, and unhandled exceptions."""

from __future__ import annotations

import logging
import re
import secrets
import time
import zlib
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from unexpired_server.errors import BadRequest, ServerFault
from unexpired_server.http.responses import error_response
from unexpired_server.ops.background import log_fault
from unexpired_server.ops.logs import ACCESS_LOGGER, AccessRecord
from unexpired_server.ops.metrics import Metrics

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")

access: logging.Logger = logging.getLogger(ACCESS_LOGGER)

FIRST_SUCCESS = 100
"""The status is 0 where the client went away, or the application failed, before a response."""

FIRST_FAILURE = 400
FIRST_FAULT = 500

NO_PAGE = "default-src 'none'"


class SecurityHeadersMiddleware:
    """Sets the security headers on every response.

    Args:
        app: The application.
        policy: The page's Content-Security-Policy. The page carries it as well, for static
            hosts; only a header can say who may frame the page.
    """

    def __init__(self, app: ASGIApp, policy: str = NO_PAGE) -> None:
        self._app = app
        policy = f"{policy}; frame-ancestors 'none'"
        headers = {**SECURITY_HEADERS, "Content-Security-Policy": policy}
        self._fields = {
            name.lower().encode("latin-1"): value.encode("latin-1")
            for name, value in headers.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _set_fields(message, self._fields)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _set_fields(message: Message, fields: Mapping[bytes, bytes]) -> None:
    """Set header fields of a response, in place of those of the same names.

    Starlette's ``MutableHeaders`` looks through all of them for each name, and encodes it: 5 µs.

    Args:
        message: The start of the response.
        fields: By name, in lower case as all names in ASGI.
    """
    others = [one for one in message.get("headers", ()) if one[0] not in fields]
    message["headers"] = [*others, *fields.items()]


class RequestLogMiddleware:
    """Gives every request an id; counts every response, and logs it.

    The log has the route, not the path, because people paste tokens into addresses.

    Args:
        app: The application.
        metrics: Counts responses.
        sample: The share of successful requests that are logged.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, sample: float = 1) -> None:
        self._app = app
        self._metrics = metrics
        self._sample = sample

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and observe the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, request_id = 0, _request_id(scope)
        field = {b"x-request-id": request_id.encode("ascii")}

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _set_fields(message, field)
            await send(message)

        started_at = time.perf_counter()
        bound = bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, observed_send)
        finally:
            seconds = time.perf_counter() - started_at
            route = route_of(scope)
            self._metrics.answered(scope["method"], route, status, seconds)
            if not FIRST_SUCCESS <= status < FIRST_FAILURE or self._is_in_sample(request_id):
                _log(scope["method"], route, status, seconds, request_id)
            reset_contextvars(**bound)

    def _is_in_sample(self, request_id: str) -> bool:
        # By the id, so that all nodes and services that know it keep the same requests.
        return zlib.crc32(request_id.encode()) < self._sample * 2**32


def _log(method: str, route: str, status: int, seconds: float, request_id: str) -> None:
    level = logging.INFO if FIRST_SUCCESS <= status < FIRST_FAULT else logging.WARNING
    if access.isEnabledFor(level):
        known = method if method.isascii() and method.isalpha() else "?"
        ms = round(seconds * 1000, 1)
        record = AccessRecord(
            level, method=known, route=route, status=status, ms=ms, request_id=request_id
        )
        access.handle(record)


def route_of(scope: Scope) -> str:
    """Return the pattern that a request's path matched, such as /api/notes/{id}."""
    return getattr(scope.get("route"), "path", None) or "none"


def _request_id(scope: Scope) -> str:
    # An id from a proxy is kept, so that its log and ours can be compared. No token looks so.
    for name, value in scope["headers"]:
        if name == b"x-request-id":  # The first one counts.
            if REQUEST_ID.fullmatch(value):
                return str(value, "ascii")
            break
    return secrets.token_hex(8)


class ServerErrorMiddleware:
    """Turns an unhandled exception into a 500 response and logs the traceback without its message.

    Starlette's own handler is outside all middleware, so its responses would lack their headers,
    and it passes the exception on to a log that prints the message, which may hold client data.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and catch exceptions."""
        started = False

        async def observed_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, observed_send)
        except Exception as exc:
            if scope["type"] != "http" or started:
                raise
            log_fault(exc)
            await error_response(ServerFault())(scope, receive, send)


class JSONErrorCORSMiddleware(CORSMiddleware):
    """Starlette's CORS middleware, with refused preflights as JSON errors."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; the browser's own message says what was refused and why."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:  # noqa: PLR2004 - the first failing status
            return response
        refusal = error_response(BadRequest("This origin, method or header may not be used here."))
        refusal.headers["Vary"] = response.headers["Vary"]
        return refusal
