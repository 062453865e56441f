"""Responses: the one place that turns models and failures into HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from unexpired_server.errors import (
    BodyTimeout,
    Challenge,
    Failure,
    MethodNotAllowed,
    RateLimited,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TooLarge,
    Unavailable,
)
from unexpired_server.http.models import ErrorOut, ReasonOut, ResponseModel

NO_STORE = {"Cache-Control": "no-store"}


def json_response(
    model: ResponseModel, status: int = 200, headers: dict[str, str] = NO_STORE
) -> Response:
    """Return a JSON response; by default no cache may keep it, because it is one user's."""
    return Response(model.to_json(), status, headers, "application/json")


def no_content() -> Response:
    """Return an empty response to a call that succeeded."""
    return Response(status_code=204, headers=NO_STORE)


def error_response(failure: Failure, *, strict: bool = False) -> Response:
    """Return the response for a failure.

    Args:
        failure: What went wrong.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """
    status = 401 if strict and isinstance(failure, TokenInvalid | TokenError) else failure.status
    return json_response(_error(failure), status, NO_STORE | _headers(failure))


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _error(failure: Failure) -> ErrorOut:
    error = ErrorOut(error=failure.message, code=failure.code)
    match failure:
        case TokenExpired():
            return error.model_copy(update={"expired_at": iso(failure.expired_at)})
        case Unavailable() if failure.reasons:
            reasons = [ReasonOut(check=one.check, message=one.message) for one in failure.reasons]
            return error.model_copy(update={"reasons": reasons})
    return error


def _headers(failure: Failure) -> dict[str, str]:
    match failure:
        case Challenge():
            return {"WWW-Authenticate": _challenge(failure)}
        case MethodNotAllowed():
            return {"Allow": failure.allow}
        case Unavailable() | RateLimited():
            return {"Retry-After": str(failure.retry_after)}
        case TooLarge() | BodyTimeout():
            # The rest of the body stays unread, so the connection cannot be used again.
            return {"Connection": "close"}
    return {}


def _challenge(failure: Challenge) -> str:
    challenge = 'Bearer realm="unexpired"'
    if failure.error is None:
        return challenge
    return f'{challenge}, error="{failure.error}", error_description="{failure.message}"'
