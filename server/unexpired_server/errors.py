"""Every failure that a client can receive, as one tree.

Only ``http.responses`` turns them into HTTP.

    Failure                      (never raised itself)
    ├── BadRequest               400 BAD_REQUEST
    ├── InvalidUsername          400 INVALID_USERNAME
    ├── WeakPassword             400 WEAK_PASSWORD
    ├── ResetInvalid             400 RESET_INVALID
    ├── SignInInvalid            400 SIGN_IN_INVALID
    ├── NotFound                 404 NOT_FOUND
    ├── MethodNotAllowed         405 METHOD_NOT_ALLOWED
    ├── BodyTimeout              408 REQUEST_TIMEOUT
    ├── RefreshSuperseded        409 REFRESH_SUPERSEDED
    ├── UsernameTaken            409 USERNAME_TAKEN
    ├── TooLarge                 413 TOO_LARGE
    ├── UnsupportedMediaType     415 UNSUPPORTED_MEDIA_TYPE
    ├── IdempotencyMismatch      422 IDEMPOTENCY_MISMATCH
    ├── RateLimited              429 RATE_LIMITED
    ├── ServerFault              500 SERVER_ERROR
    ├── Unavailable              503 UNAVAILABLE
    └── Challenge                (401 and 403: the response carries WWW-Authenticate)
        ├── BadCredentials       401 BAD_CREDENTIALS
        ├── SecondStepRequired   401 SECOND_STEP_REQUIRED
        ├── TokenMissing         401 NO_TOKEN
        ├── TokenExpired         401 TOKEN_EXPIRED
        ├── TokenInvalid         403 INVALID_TOKEN
        ├── TokenError           403 TOKEN_ERROR
        ├── SessionRevoked       401 SESSION_REVOKED
        ├── Forbidden            403 FORBIDDEN
        ├── RefreshExpired       401 REFRESH_EXPIRED
        ├── RefreshInvalid       401 REFRESH_INVALID
        ├── RefreshReused        401 REFRESH_REUSED
        ├── InvalidProof         401 INVALID_PROOF
        └── UseDPoPNonce         401 USE_DPOP_NONCE

No message quotes what the client sent, because error messages leak tokens into logs and pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from unexpired_server.scopes import checked_scopes


class Failure(Exception):  # noqa: N818 - the leaves are named by what happened
    """A failure with a stable code for programs and a message for people.

    Args:
        message: Replaces the class's own message where one case has more to say.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    message: str

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message


class BadRequest(Failure):
    """The request cannot be understood; sending it again will not help."""

    status = 400
    code = "BAD_REQUEST"
    message = "The request could not be understood."


class InvalidUsername(Failure):
    """A name that no new user may have; the sentence says why."""

    status = 400
    code = "INVALID_USERNAME"
    message = "This username cannot be used."


class WeakPassword(Failure):
    """A password that no user may choose; the sentence says why."""

    status = 400
    code = "WEAK_PASSWORD"
    message = "This password cannot be used."


class ResetInvalid(Failure):
    """A link for a forgotten password that is damaged, used or too old."""

    status = 400
    code = "RESET_INVALID"
    message = "This link has been used or is too old. Please ask for a new one."


class SignInInvalid(Failure):
    """A code from a sign-in at a provider that is damaged, used, too old or another page's."""

    status = 400
    code = "SIGN_IN_INVALID"
    message = "This sign-in has been used or is too old. Please sign in again."


class NotFound(Failure):
    """Nothing is here, or nothing that this user may see."""

    status = 404
    code = "NOT_FOUND"
    message = "There is nothing here."


class MethodNotAllowed(Failure):
    """The path exists, but not for this method.

    Args:
        allow: The value of the Allow header (RFC 9110, section 15.5.6).
    """

    status = 405
    code = "METHOD_NOT_ALLOWED"
    message = "This address does not accept this method."

    def __init__(self, allow: str) -> None:
        super().__init__()
        self.allow = allow


class BodyTimeout(Failure):
    """The body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    message = "The request took too long to arrive."


class RefreshSuperseded(Failure):
    """A late duplicate of a refresh whose result the client has had: its session lives on."""

    status = 409
    code = "REFRESH_SUPERSEDED"
    message = "This session was refreshed in the meantime."


class UsernameTaken(Failure):
    """Another user has this name, in this or another spelling."""

    status = 409
    code = "USERNAME_TAKEN"
    message = "This username is taken."


class TooLarge(Failure):
    """The body is larger than this server accepts."""

    status = 413
    code = "TOO_LARGE"
    message = "The request is too large."


class UnsupportedMediaType(Failure):
    """The request does not declare its body as JSON."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    message = "The request must be JSON, with Content-Type: application/json."


class IdempotencyMismatch(Failure):
    """An Idempotency-Key was used before, for a different request."""

    status = 422
    code = "IDEMPOTENCY_MISMATCH"
    message = "This Idempotency-Key was already used for another request."


class RateLimited(Failure):
    """Too many attempts; the same request may be sent again later.

    Args:
        retry_after: Seconds until then.
    """

    status = 429
    code = "RATE_LIMITED"
    message = "Too many attempts. Please try again in a moment."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class ServerFault(Failure):
    """A bug in the server."""

    status = 500
    code = "SERVER_ERROR"
    message = "Something went wrong on the server."


@dataclass(frozen=True)
class Reason:
    """Why a node is not ready.

    Attributes:
        check: The check that failed, as a stable word.
        message: A sentence for operators.
    """

    check: str
    message: str


class Unavailable(Failure):
    """The server cannot answer at the moment; the same request may be sent again.

    Args:
        retry_after: Seconds to wait before the next attempt.
        reasons: Why, where an operator asks.
    """

    status = 503
    code = "UNAVAILABLE"
    message = "The server cannot answer right now. Please try again in a moment."

    def __init__(self, retry_after: int = 1, reasons: Sequence[Reason] = ()) -> None:
        super().__init__()
        self.retry_after = retry_after
        self.reasons = reasons


BEARER = 'Bearer realm="unexpired"'
"""The challenge for a bearer token (RFC 6750, section 3)."""

DPOP = 'DPoP realm="unexpired", algs="ES256"'
"""The challenge for a token that is bound to a key (RFC 9449, section 7.1)."""


class Challenge(Failure):
    """The request is not authenticated; the response says how to do it (RFC 6750, section 3)."""

    status = 401
    error: ClassVar[str | None] = "invalid_token"
    """The error code of RFC 6750 or RFC 9449, or None when the request had no token."""
    scheme: str = BEARER
    """What the challenge begins with; changed where the request has another scheme."""


class BadCredentials(Challenge):
    """Unknown username, wrong password or disabled user; the response never says which."""

    code = "BAD_CREDENTIALS"
    error: ClassVar[str | None] = None
    message = "The username or password is not correct."


class SecondStepRequired(Challenge):
    """The password is right, and the sign-in needs more, such as a code from another device.

    An application's ``UserStore.authenticate`` raises it. It counts as a successful sign-in for
    ``sign_in_limit``, because it reveals that the password is right.

    Args:
        message: Replaces the class's own message.
        **fields: Further members of the response, such as ``methods=["otp"]``: values that JSON
            can express.

    Raises:
        TypeError: JSON cannot express a value.
        ValueError: A field has the name ``error`` or ``code``, or a value is NaN or infinite.
    """

    code = "SECOND_STEP_REQUIRED"
    error: ClassVar[str | None] = None
    message = "One more step is needed to sign in."

    def __init__(self, message: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        if taken := {"error", "code"} & fields.keys():
            raise ValueError(f"The response has a member {min(taken)!r} already")
        json.dumps(fields, allow_nan=False)
        self.fields = fields


class TokenMissing(Challenge):
    """The request has no bearer token."""

    code = "NO_TOKEN"
    error: ClassVar[str | None] = None
    message = "Please sign in: no access token was sent."


class TokenExpired(Challenge):
    """An access token that has expired; its client gets a new one by its refresh token.

    Args:
        expired_at: The token's ``exp`` in Unix seconds, without leeway; None where it is not known.
    """

    code = "TOKEN_EXPIRED"
    message = "The access token has expired."

    def __init__(self, expired_at: float | None = None) -> None:
        super().__init__()
        self.expired_at: float | None = expired_at


class TokenInvalid(Challenge):
    """Not an access token that this server issued for this purpose."""

    status = 403
    code = "INVALID_TOKEN"
    message = "The access token is not valid."


class TokenError(Challenge):
    """An authentic access token that cannot be used now, such as one that is not valid yet."""

    status = 403
    code = "TOKEN_ERROR"
    message = "The access token cannot be used now."


class SessionRevoked(Challenge):
    """The session was signed out or revoked."""

    code = "SESSION_REVOKED"
    message = "This session has been signed out."


class Forbidden(Challenge):
    """The user is known and may not do this; raised only in other applications' routes.

    Args:
        message: Replaces the class's own message.
        scopes: The scopes that are needed; the challenge names them (RFC 6750, section 3.1).

    Raises:
        ValueError: One is not a scope.
    """

    status = 403
    code = "FORBIDDEN"
    error: ClassVar[str | None] = "insufficient_scope"
    message = "You may not do this."

    def __init__(self, message: str | None = None, *, scopes: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.scopes: frozenset[str] = checked_scopes(scopes)


class RefreshExpired(Challenge):
    """The session was idle for too long, or has reached its maximum age."""

    code = "REFRESH_EXPIRED"
    message = "Your session has expired. Please log in again."


class RefreshInvalid(Challenge):
    """Not a refresh token that this server issued."""

    code = "REFRESH_INVALID"
    message = "The refresh token is not valid."


class RefreshReused(Challenge):
    """A refresh token was presented after its grace: it was stolen (RFC 9700, section 4.14.2)."""

    code = "REFRESH_REUSED"
    message = "This refresh token was already used, so the session has been ended for safety."


class InvalidProof(Challenge):
    """No proof of the session's key, or one that is not valid for this request; never says why."""

    code = "INVALID_PROOF"
    error: ClassVar[str | None] = "invalid_dpop_proof"
    scheme: str = DPOP
    message = "The proof of the session's key is missing or not valid."


class UseDPoPNonce(Challenge):
    """A valid proof that does not show when it was made (RFC 9449, section 8).

    Args:
        nonce: For the next proof, which will be accepted.
    """

    code = "USE_DPOP_NONCE"
    error: ClassVar[str | None] = "use_dpop_nonce"
    scheme: str = DPOP
    message = "The proof of the session's key needs the server's current nonce."

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce: str = nonce
