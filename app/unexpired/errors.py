"""Everything that can go wrong, and whose fault it is.

    UnexpiredError               never raised itself: catch it to catch everything below
    ├── NotSignedIn              nobody is signed in: ask the person to sign in
    ├── SessionExpired           the session's time is over: the person signs in again
    ├── SessionEnded             the session was ended: revoked, damaged, signed out elsewhere
    ├── BadCredentials           the person's name or password is wrong
    ├── RateLimited              too many tries: wait ``retry_after`` seconds
    ├── Unreachable              no answer (network, outage): transient, the session is kept
    ├── ReplayImpossible         the caller's body was a one-shot stream and is spent
    └── BadReply                 the server's reply is not what the call asked for

No message, attribute or repr of these ever holds a part of a token.
"""

from __future__ import annotations


class UnexpiredError(Exception):
    """The base of all errors of this library; ``str(error)`` is a sentence for people."""

    sentence = "Something went wrong."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class NotSignedIn(UnexpiredError):  # noqa: N818 - named for the state, as its users say it
    """A call needs a session and there is none."""

    sentence = "Please sign in."


class SessionExpired(UnexpiredError):  # noqa: N818
    """The session is over because its time is, or because its refresh was refused.

    Attributes:
        code: the server's code for it, such as ``REFRESH_EXPIRED``.
    """

    sentence = "Your session has expired. Please log in again."

    def __init__(self, code: str = "TOKEN_EXPIRED") -> None:
        super().__init__()
        self.code = code


class SessionEnded(UnexpiredError):  # noqa: N818
    """The session was ended by someone: the server, another tab, or a sign-out meanwhile.

    Attributes:
        code: the server's code, such as ``SESSION_REVOKED``, or ``SIGNED_OUT``.
    """

    sentence = "Your session has ended. Please log in again."

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


class BadCredentials(UnexpiredError):  # noqa: N818
    """The server does not accept this name with this password."""

    sentence = "The username or the password is not right."


class RateLimited(UnexpiredError):  # noqa: N818
    """The server asks to wait before the next try.

    Attributes:
        retry_after: seconds to wait, or None when the server did not say.
    """

    sentence = "Too many tries. Please wait a moment."

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class Unreachable(UnexpiredError):  # noqa: N818
    """No answer came that could be used. The session is kept; trying again later may work.

    Attributes:
        retry_after: seconds the server asked us to wait, or None.
    """

    sentence = "The server cannot be reached right now. Please try again."

    def __init__(self, sentence: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class ReplayImpossible(UnexpiredError):  # noqa: N818
    """The request must be sent again, but its body was a stream that is spent."""

    sentence = "The upload could not be repeated. Please send it again."


class BadReply(UnexpiredError):  # noqa: N818
    """The reply is not a success, or not of the form that the call needs.

    Attributes:
        status_code: the reply's HTTP status.
        code: the machine-readable code in the reply, or None.
    """

    sentence = "The server sent a reply that could not be used."

    def __init__(
        self, sentence: str | None = None, *, status_code: int = 0, code: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.status_code = status_code
        self.code = code
