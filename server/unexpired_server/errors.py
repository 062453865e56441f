"""Every failure a client can be told of, as one tree; replies.py alone turns them into HTTP.

    Failure                      (never raised itself)
    ├── BadRequest               400 BAD_REQUEST
    ├── NotFound                 404 NOT_FOUND
    ├── MethodNotAllowed         405 METHOD_NOT_ALLOWED
    ├── BodyTimeout              408 REQUEST_TIMEOUT
    ├── TooLarge                 413 TOO_LARGE
    ├── UnsupportedMediaType     415 UNSUPPORTED_MEDIA_TYPE
    ├── IdempotencyMismatch      422 IDEMPOTENCY_MISMATCH
    ├── RateLimited              429 RATE_LIMITED
    ├── ServerFault              500 SERVER_ERROR
    ├── Unavailable              503 UNAVAILABLE
    └── Challenge                (401 and 403: the reply carries WWW-Authenticate)
        ├── BadCredentials       401 BAD_CREDENTIALS
        ├── TokenMissing         401 NO_TOKEN
        ├── TokenExpired         401 TOKEN_EXPIRED
        ├── TokenInvalid         403 INVALID_TOKEN
        ├── TokenError           403 TOKEN_ERROR
        ├── SessionRevoked       401 SESSION_REVOKED
        ├── RefreshExpired       401 REFRESH_EXPIRED
        ├── RefreshInvalid       401 REFRESH_INVALID
        └── RefreshReused        401 REFRESH_REUSED

No message ever quotes what the client sent: an error is also a place where tokens leak.
"""

from typing import ClassVar


class Failure(Exception):  # noqa: N818 - the leaves are named by what happened
    """A failure with a stable code and a sentence for people.

    Args:
        sentence: What went wrong, when this case has more to say than its kind.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    sentence: str

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)
        self.sentence = sentence or self.sentence


class BadRequest(Failure):
    """The request cannot be understood; sending it again will not help."""

    status = 400
    code = "BAD_REQUEST"
    sentence = "The request could not be understood."


class NotFound(Failure):
    """There is nothing here, or nothing that this person may know of."""

    status = 404
    code = "NOT_FOUND"
    sentence = "There is nothing here."


class MethodNotAllowed(Failure):
    """The address exists, but not for this method.

    Args:
        allow: The value of the Allow header (RFC 9110, section 15.5.6).
    """

    status = 405
    code = "METHOD_NOT_ALLOWED"
    sentence = "This address does not take this method."

    def __init__(self, allow: str) -> None:
        super().__init__()
        self.allow = allow


class BodyTimeout(Failure):
    """The body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    sentence = "The request took too long to arrive."


class TooLarge(Failure):
    """The body is larger than any that this server has use for."""

    status = 413
    code = "TOO_LARGE"
    sentence = "The request is too large."


class UnsupportedMediaType(Failure):
    """The body is not said to be JSON."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    sentence = "The request must be JSON, with Content-Type: application/json."


class IdempotencyMismatch(Failure):
    """A key that was used for one request came again with another."""

    status = 422
    code = "IDEMPOTENCY_MISMATCH"
    sentence = "This Idempotency-Key was already used for another request."


class RateLimited(Failure):
    """Too many tries; the same request may be sent again later.

    Args:
        retry_after: Seconds until then.
    """

    status = 429
    code = "RATE_LIMITED"
    sentence = "That was tried too often. Please wait a little before you try again."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class ServerFault(Failure):
    """Our own mistake."""

    status = 500
    code = "SERVER_ERROR"
    sentence = "Something went wrong on the server."


class Unavailable(Failure):
    """The answer is not known at the moment; the same request may be sent again.

    Args:
        retry_after: Seconds until a new attempt is worth while.
    """

    status = 503
    code = "UNAVAILABLE"
    sentence = "The server cannot answer right now. Please try again in a moment."

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__()
        self.retry_after = retry_after


class Challenge(Failure):
    """Who is asking is not established; the reply says how to do it (RFC 6750, section 3)."""

    status = 401
    error: ClassVar[str | None] = "invalid_token"
    """RFC 6750's own code, or None when no token was sent."""


class BadCredentials(Challenge):
    """The username is unknown, the password is wrong, or the user is disabled: never which."""

    code = "BAD_CREDENTIALS"
    error: ClassVar[str | None] = None
    sentence = "The username or password is not right."


class TokenMissing(Challenge):
    """No bearer token came with the request."""

    code = "NO_TOKEN"
    error: ClassVar[str | None] = None
    sentence = "Please sign in: no access token was sent."


class TokenExpired(Challenge):
    """A genuine access token, past its time.

    Args:
        expired_at: The token's own `exp` in Unix seconds, without leeway.
    """

    code = "TOKEN_EXPIRED"
    sentence = "The access token has expired."

    def __init__(self, expired_at: float) -> None:
        super().__init__()
        self.expired_at = expired_at


class TokenInvalid(Challenge):
    """Not an access token that this server has issued for this purpose."""

    status = 403
    code = "INVALID_TOKEN"
    sentence = "The access token is not valid."


class TokenError(Challenge):
    """A genuine access token that cannot be used now, for example because it is not valid yet."""

    status = 403
    code = "TOKEN_ERROR"
    sentence = "The access token cannot be used now."


class SessionRevoked(Challenge):
    """The session was signed out or revoked."""

    code = "SESSION_REVOKED"
    sentence = "This session has been signed out."


class Forbidden(Challenge):
    """Who is asking is known, and may not do this; only other applications' routes say so."""

    status = 403
    code = "FORBIDDEN"
    error: ClassVar[str | None] = "insufficient_scope"
    sentence = "You may not do this."


class RefreshExpired(Challenge):
    """The session has been idle, or has lasted, for too long."""

    code = "REFRESH_EXPIRED"
    sentence = "Your session has expired. Please log in again."


class RefreshInvalid(Challenge):
    """Not a refresh token that this server has issued."""

    code = "REFRESH_INVALID"
    sentence = "The refresh token is not valid."


class RefreshReused(Challenge):
    """A refresh token came after its grace: one of two holders is a thief (RFC 9700, 4.14.2)."""

    code = "REFRESH_REUSED"
    sentence = "This refresh token was already used, so the session has been ended for safety."
