"""Failures as HTTP, for any web framework: nothing here imports one.

Flask takes a ``FailureResponse`` as what a handler returns::

    app.register_error_handler(Failure, failure_response)

In Django a middleware turns it into a response::

    HttpResponse(answer.body, status=answer.status, headers=answer.headers)
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from unexpired_server.errors import (
    BodyTimeout,
    Challenge,
    Failure,
    Forbidden,
    MethodNotAllowed,
    RateLimited,
    SecondStepRequired,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TooLarge,
    Unavailable,
    UseDPoPNonce,
)
from unexpired_server.http.models import ErrorOut, ReasonOut, ResponseModel, SecondStepOut
from unexpired_server.scopes import join_scopes

NO_STORE = {"Cache-Control": "no-store"}

DPOP_NONCE = "DPoP-Nonce"
"""The header with the nonce for the next proof (RFC 9449, section 8)."""

NOT_DESCRIPTIVE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""What an ``error_description`` must not contain (RFC 6750, section 3)."""


class FailureResponse(NamedTuple):
    """The parts of an HTTP response, in the order in which Flask takes them.

    Attributes:
        body: The JSON, in UTF-8.
        status: The status code.
        headers: The headers, ``Content-Type`` among them.
    """

    body: bytes
    status: int
    headers: dict[str, str]


def failure_response(failure: Failure, *, strict: bool = False) -> FailureResponse:
    """Return the response for a failure, as our own routes send it.

    Args:
        failure: What went wrong.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """
    status = 401 if strict and isinstance(failure, TokenInvalid | TokenError) else failure.status
    headers = {"Content-Type": "application/json"} | NO_STORE | _headers(failure)
    return FailureResponse(_error(failure).to_json(), status, headers)


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _error(failure: Failure) -> ResponseModel:
    error = ErrorOut(error=failure.message, code=failure.code)
    match failure:
        case TokenExpired() if failure.expired_at is not None:
            return error.model_copy(update={"expired_at": iso(failure.expired_at)})
        case Unavailable() if failure.reasons:
            reasons = [ReasonOut(check=one.check, message=one.message) for one in failure.reasons]
            return error.model_copy(update={"reasons": reasons})
        case UseDPoPNonce():
            return error.model_copy(update={"nonce": failure.nonce})
        case SecondStepRequired():
            return SecondStepOut(**failure.fields, error=failure.message, code=failure.code)
    return error


def _headers(failure: Failure) -> dict[str, str]:
    match failure:
        case UseDPoPNonce():
            return {"WWW-Authenticate": _challenge(failure), DPOP_NONCE: failure.nonce}
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
    challenge = failure.scheme
    if failure.error is None:
        return challenge
    description = NOT_DESCRIPTIVE.sub("?", failure.message)
    challenge += f', error="{failure.error}", error_description="{description}"'
    if isinstance(failure, Forbidden) and failure.scopes:
        challenge += f', scope="{join_scopes(failure.scopes)}"'
    return challenge
