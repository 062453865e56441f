"""Starlette's ``exception_handlers``, which turn failures into responses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from starlette import status
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from unexpired_server.errors import (
    Challenge,
    Failure,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    Unavailable,
    UseDPoPNonce,
)
from unexpired_server.http.responses import error_response

UNAUTHENTICATED = 4401
FORBIDDEN = 4403
"""Codes that applications may define (RFC 6455, section 7.4.2): 4000 and the HTTP status."""

_REFUSED = "unexpired.refused"
"""In the scope of a WebSocket: an outer handler may have an object of its own for it."""

_ACCEPTED = "unexpired.accepted"
"""In the scope of a WebSocket that was accepted before its application did so: that WebSocket."""

logger: logging.Logger = logging.getLogger("unexpired.server")


def failure_handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    """Return handlers for this package's failures, and for nothing else of an application.

    Args:
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    async def on_failure(conn: Any, exc: Exception) -> Any:
        failure = _failure(exc)
        if isinstance(conn, WebSocket):
            return await refuse_socket(conn, failure, strict=strict)
        return error_response(failure, strict=strict, scope=conn.scope)

    return {Failure: on_failure}


def ensure_handler(scope: Scope, *, strict: bool) -> None:
    """Have a failure that is about to be raised answered also where nobody handles it.

    A mounted application has handlers of its own, and would answer 500.

    Args:
        scope: The request's.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """
    handlers, _ = scope.get("starlette.exception_handlers", ({}, {}))
    if Failure not in handlers:
        handlers.update(failure_handlers(strict=strict))


async def refuse_socket(websocket: WebSocket, failure: Failure, *, strict: bool = False) -> None:
    """Refuse a WebSocket, or end one that is open; do nothing where it has ended.

    Before it is accepted, the response is that of a request, where the server can send one. Later,
    the last message is ``{"type": "error", "code": …, "error": …}``, and the close code says more.

    Args:
        websocket: As the application uses it.
        failure: Why.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """
    if websocket.scope.get(_REFUSED):
        return
    websocket.scope[_REFUSED] = True
    websocket = websocket.scope.get(_ACCEPTED, websocket)
    code, reason = close_code(failure), failure.code
    if is_open(websocket):
        with suppress(WebSocketDisconnect):
            await websocket.send_json(error_message(failure))
            await websocket.close(code, reason)
    elif websocket.application_state is WebSocketState.CONNECTING:
        if "websocket.http.response" in websocket.scope.get("extensions", {}):
            answer = error_response(failure, strict=strict, scope=websocket.scope)
            await websocket.send_denial_response(answer)
        else:
            await websocket.close(code, reason)


def note_accepted(websocket: WebSocket) -> None:
    """Note that a WebSocket is open although its application has not accepted it yet."""
    websocket.scope[_ACCEPTED] = websocket


def is_open(websocket: WebSocket) -> bool:
    """Return whether a WebSocket was accepted, and neither side has closed it."""
    states = websocket.application_state, websocket.client_state
    return states == (WebSocketState.CONNECTED, WebSocketState.CONNECTED)


def error_message(failure: Failure) -> dict[str, str]:
    """Return what a WebSocket's client receives of a failure."""
    message = {"type": "error", "code": failure.code, "error": failure.message}
    return message | ({"nonce": failure.nonce} if isinstance(failure, UseDPoPNonce) else {})


def close_code(failure: Failure) -> int:
    """Return the code that a WebSocket is closed with (RFC 6455, section 7.4)."""
    match failure:
        case Forbidden():
            return FORBIDDEN
        case Challenge():
            return UNAUTHENTICATED
        case Unavailable():
            return status.WS_1013_TRY_AGAIN_LATER
    return status.WS_1008_POLICY_VIOLATION


def application_handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    """Return the handlers of an application of our own, which also answers unknown paths.

    Args:
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    async def on_http_exception(_request: Request, exc: Exception) -> Response:
        return _of_router(exc)

    return {**failure_handlers(strict=strict), HTTPException: on_http_exception}


class OwnFailuresMiddleware:
    """Answers the failures of our own routes, in any application, however it is set up.

    Args:
        app: One of our routes.
        check: Raises Unavailable while the service does not run.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    def __init__(self, app: ASGIApp, check: Callable[[], None], *, strict: bool) -> None:
        self._app = app
        self._check = check
        self._strict = strict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and turn a failure into a response."""
        started = False

        async def observed_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check()
            await self._app(scope, receive, observed_send)
        except Failure as failure:
            if started:
                raise
            response = error_response(failure, strict=self._strict, scope=scope)
            await response(scope, receive, send)


class RunningCheck:
    """Refuses work while the service's lifespan is not entered: nothing would be revoked."""

    def __init__(self) -> None:
        self.is_running = False
        self._has_logged = False

    def __call__(self) -> None:
        """Do nothing while the service runs.

        Raises:
            Unavailable: It does not; the log says once what is missing.
        """
        if self.is_running:
            return
        if not self._has_logged:
            self._has_logged = True
            logger.error(
                "The service does not run, so its requests are answered with 503: give your "
                "application lifespan=auth.lifespan, or enter service.running() in its lifespan. "
                "Starlette does not enter the lifespan of a mounted application."
            )
        raise Unavailable


def _failure(exc: Exception) -> Failure:
    if not isinstance(exc, Failure):
        raise exc
    return exc


def _of_router(exc: Exception) -> Response:
    """Return our response where Starlette found no path or method, or else Starlette's own."""
    if not isinstance(exc, HTTPException):
        raise exc
    is_the_routers = exc.detail == HTTPStatus(exc.status_code).phrase
    if is_the_routers and exc.status_code == HTTPStatus.NOT_FOUND:
        return error_response(NotFound())
    if is_the_routers and exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = (exc.headers or {}).get("Allow", "").split(", ")
        return error_response(MethodNotAllowed(", ".join(sorted(methods))))
    return Response(exc.detail, exc.status_code, exc.headers, "text/plain")
