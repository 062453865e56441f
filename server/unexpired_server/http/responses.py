"""From results and failures to HTTP: the one place that knows the shape of a reply."""

from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse, Response

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

NO_STORE = {"Cache-Control": "no-store"}


def json_response(content: dict[str, Any], status: int = 200) -> Response:
    """A JSON reply. None of ours may be kept by a cache: all are one person's."""
    return JSONResponse(content, status, NO_STORE)


def no_content() -> Response:
    """Done, and nothing more to say."""
    return Response(status_code=204, headers=NO_STORE)


def error_response(problem: Failure, *, strict: bool = False) -> Response:
    """The reply for a failure.

    Args:
        problem: What went wrong.
        strict: Answer 401 where we otherwise answer 403 (RFC 6750, section 3.1).
    """
    status = 401 if strict and isinstance(problem, TokenInvalid | TokenError) else problem.status
    content = {"error": problem.sentence, "code": problem.code, **_details(problem)}
    return JSONResponse(content, status, NO_STORE | _headers(problem))


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _details(problem: Failure) -> dict[str, str]:
    if isinstance(problem, TokenExpired):
        return {"expiredAt": iso(problem.expired_at)}
    return {}


def _headers(problem: Failure) -> dict[str, str]:
    match problem:
        case Challenge():
            return {"WWW-Authenticate": _challenge(problem)}
        case MethodNotAllowed():
            return {"Allow": problem.allow}
        case Unavailable() | RateLimited():
            return {"Retry-After": str(problem.retry_after)}
        case TooLarge() | BodyTimeout():
            # The rest of the body is not read, so the connection cannot be used again.
            return {"Connection": "close"}
    return {}


def _challenge(problem: Challenge) -> str:
    challenge = 'Bearer realm="unexpired"'
    if problem.error is None:
        return challenge
    return f'{challenge}, error="{problem.error}", error_description="{problem.sentence}"'
