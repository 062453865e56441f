"""Responses: the one place that turns models and failures into HTTP."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from unexpired_server.errors import BEARER, DPOP, Challenge, Failure
from unexpired_server.http.failure_response import NO_STORE, failure_response
from unexpired_server.http.models import ResponseModel


def json_response(
    model: ResponseModel, status: int = 200, headers: dict[str, str] = NO_STORE
) -> Response:
    """Return a JSON response; by default no cache may keep it, because it is one user's."""
    return Response(model.to_json(), status, headers, "application/json")


def no_content() -> Response:
    """Return an empty response to a call that succeeded."""
    return Response(status_code=204, headers=NO_STORE)


def error_response(
    failure: Failure, *, strict: bool = False, scope: Scope | None = None
) -> Response:
    """Return the response for a failure.

    Args:
        failure: What went wrong.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
        scope: The request's; a challenge about its token names the scheme that the token came with.
    """
    if scope and isinstance(failure, Challenge) and _is_about_dpop(failure, scope):
        failure.scheme = DPOP
    return Response(*failure_response(failure, strict=strict))


def _is_about_dpop(failure: Challenge, scope: Scope) -> bool:
    """Return whether a token under the scheme DPoP is refused (RFC 9449, section 7.1)."""
    if failure.error is None or failure.scheme != BEARER:  # Without a token; or it says more.
        return False
    sent = (value for name, value in scope["headers"] if name == b"authorization")
    return any(value.strip().lower().startswith(b"dpop ") for value in sent)
