"""Starlette's ``exception_handlers``, which turn failures into responses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from unexpired_server.errors import Failure, MethodNotAllowed, NotFound, Unavailable
from unexpired_server.http.responses import error_response

logger: logging.Logger = logging.getLogger("unexpired.server")


def failure_handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    """Return handlers for this package's failures, and for nothing else of an application.

    Args:
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    async def on_failure(_request: Request, exc: Exception) -> Response:
        return error_response(_failure(exc), strict=strict)

    return {Failure: on_failure}


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
            await error_response(failure, strict=self._strict)(scope, receive, send)


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
                "application the lifespan of service.running(). Starlette does not enter the "
                "lifespan of a mounted application."
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
