"""Starlette's ``exception_handlers``, which turn failures into responses."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from unexpired_server.errors import Failure, Forbidden, MethodNotAllowed, NotFound, TokenMissing
from unexpired_server.http.responses import error_response


def failure_handlers(*, strict: bool) -> dict[type[Exception], ExceptionHandler]:
    """Return handlers that turn every failure into a response.

    Args:
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    async def on_failure(request: Request, exc: Exception) -> Response:
        failure = exc if isinstance(exc, Failure) else _translated(request, exc)
        return error_response(failure, strict=strict)

    return {Failure: on_failure, HTTPException: on_failure}


def _translated(request: Request, exc: Exception) -> Failure:
    """Return our failure for one of Starlette's: no such path, method or file, or ``requires``."""
    if isinstance(exc, HTTPException) and exc.status_code == 403:  # noqa: PLR2004 - RFC 9110
        user = request.scope.get("user")
        return Forbidden() if user and user.is_authenticated else TokenMissing()
    if isinstance(exc, HTTPException) and exc.status_code == 405:  # noqa: PLR2004 - RFC 9110
        methods = (exc.headers or {})["Allow"].split(", ")
        return MethodNotAllowed(", ".join(sorted(methods)))
    return NotFound()
