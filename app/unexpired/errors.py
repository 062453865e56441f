"""Everything that can go wrong, and whose fault it is.

    UnexpiredError               never raised itself: catch it to catch everything below
    ├── NotSignedIn              nobody is signed in: ask the person to sign in
    ├── SessionExpired           the session has expired: the person signs in again
    ├── SessionEnded             the session was ended: revoked, damaged, signed out elsewhere
    ├── BadCredentials           the username or the password is wrong
    ├── SecondStepRequired       the password was right, and the server asks for more
    ├── SignInFailed             the identity provider did not sign the person in
    ├── RateLimited              too many attempts: wait ``retry_after`` seconds
    ├── Unreachable              no response (network, outage): transient, the session is kept
    ├── ReplayImpossible         the caller's body was a one-shot stream, which is used up
    └── BadReply                 the server's response is not what the request asked for

No message, attribute or repr of these errors ever contains a part of a token.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from unexpired.messages import BadReply, Response, UnexpiredError

__all__ = [
    "BadCredentials",
    "BadReply",
    "NotSignedIn",
    "RateLimited",
    "ReplayImpossible",
    "SecondStepRequired",
    "SessionEnded",
    "SessionExpired",
    "SignInFailed",
    "UnexpiredError",
    "Unreachable",
    "missing_extra",
    "no_browser",
    "no_desktop",
    "unknown_option",
]


class NotSignedIn(UnexpiredError):  # noqa: N818 - named for the state, as its users say it
    """The request needs a session and there is none."""

    message = "Please sign in."


class SessionExpired(UnexpiredError):  # noqa: N818
    """The session has expired, or the server refused to refresh it.

    Attributes:
        code: The server's code for it, such as ``REFRESH_EXPIRED``; or ``KEY_LOST``, if this device
            no longer has the key that the session is bound to.
    """

    message = "Your session has expired. Please log in again."

    def __init__(self, code: str = "TOKEN_EXPIRED") -> None:
        super().__init__()
        self.code = code


class SessionEnded(UnexpiredError):  # noqa: N818
    """The session was ended by the server, by another tab, or by a sign-out during the request.

    Attributes:
        code: The server's code, such as ``SESSION_REVOKED``, or ``SIGNED_OUT``.
    """

    message = "Your session has ended. Please log in again."

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


class BadCredentials(UnexpiredError):  # noqa: N818
    """The server does not accept this username with this password."""

    message = "The username or the password is not right."


class SecondStepRequired(UnexpiredError):  # noqa: N818
    """The server asks for a second step, such as a one-time code, before it opens a session.

    Attributes:
        fields: The JSON object of the response. Its values may be secrets, such as an
            ``mfa_token``, so neither ``str`` nor ``repr`` shows them, and a pickled copy has none.
        code: The server's own code for it, or None.
        response: The response.
    """

    message = "One more step is needed to sign in."
    fields: Mapping[str, Any] = {}

    def __init__(
        self,
        fields: Mapping[str, Any],
        *,
        code: str | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__()
        self.fields = fields
        self.code = code
        if response is not None:
            self.response: Response | None = response


_TOO_LATE = "Signing in took too long, or was finished already. Please sign in again."
_SIGN_IN_AGAIN = "Please sign in at your provider again."
_NOT_TRUSTED = "The answer of your sign-in provider cannot be trusted. You were not signed in."
_PROVIDER_BUSY = "Your sign-in provider is not available right now. Please try again in a moment."

SIGN_IN_MESSAGES: Mapping[str, str] = {
    # OAuth 2.0 (RFC 6749, sections 4.1.2.1 and 5.2; RFC 8628, section 3.5)
    "access_denied": "Signing in was cancelled, or your account may not be used here.",
    "temporarily_unavailable": _PROVIDER_BUSY,
    "server_error": _PROVIDER_BUSY,
    "invalid_grant": _TOO_LATE,
    "expired_token": _TOO_LATE,
    # OpenID Connect Core, section 3.1.2.6
    "login_required": _SIGN_IN_AGAIN,
    "interaction_required": _SIGN_IN_AGAIN,
    "consent_required": _SIGN_IN_AGAIN,
    "account_selection_required": _SIGN_IN_AGAIN,
    # This library's
    "SIGN_IN_TIMED_OUT": "Signing in took too long. Please sign in again.",
    "UNKNOWN_SIGN_IN": "This sign-in did not start here, or is finished already. Please sign in.",
    "PROVIDER_MISMATCH": _NOT_TRUSTED,
    "UNTRUSTED_TOKEN": _NOT_TRUSTED,
    "BAD_ANSWER": "The answer of your sign-in provider could not be used. Please try again.",
    "ABANDONED": "You came back before you had signed in. Please sign in.",
    "POPUP_BLOCKED": "Your browser blocked the window to sign in. Please allow it and try again.",
    "POPUP_CLOSED": "The window to sign in was closed too early. Please try again.",
    "NO_STORAGE": "Your browser blocks storage, and signing in needs it. Please allow it.",
    "NO_LOOPBACK": (
        "Signing in needs an address that another program uses."
        " Please close that program and try again."
    ),
}
"""The message for people, by the code of a ``SignInFailed``; other codes have the default."""


class SignInFailed(UnexpiredError):  # noqa: N818
    """The identity provider did not sign the person in, or its answer was refused.

    The provider's own description is for developers, and may have been written by anyone, so it is
    never shown.

    Attributes:
        code: The provider's code in lower case, such as ``access_denied`` (RFC 6749, section
            4.1.2.1); or this library's in capitals: ``SIGN_IN_TIMED_OUT``, ``UNKNOWN_SIGN_IN``,
            ``PROVIDER_MISMATCH``, ``UNTRUSTED_TOKEN``, ``BAD_ANSWER``, ``ABANDONED``,
            ``POPUP_BLOCKED``, ``POPUP_CLOSED``, ``NO_STORAGE`` or ``NO_LOOPBACK``.
    """

    message = "Signing in did not work. Please try again."

    def __init__(self, code: str, note: str = "") -> None:
        super().__init__(SIGN_IN_MESSAGES.get(code))
        self.code = code
        if note:  # For developers: it names what is wrong, never a value.
            self.add_note(note)


class RateLimited(UnexpiredError):  # noqa: N818
    """The server asks to wait before the next attempt.

    Attributes:
        retry_after: Seconds to wait; None if the server did not say.
    """

    message = "Too many attempts. Please try again in a moment."

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__()
        self.retry_after = retry_after


class Unreachable(UnexpiredError):  # noqa: N818
    """No usable response came. The session is kept; trying again later may work.

    Attributes:
        retry_after: Seconds that the server asked to wait; None if it did not.
    """

    message = "The server cannot be reached right now. Please try again."

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ReplayImpossible(UnexpiredError):  # noqa: N818
    """The request must be sent again, but its body was a stream that is used up."""

    message = "The upload could not be repeated. Please send it again."


def missing_extra(error: ModuleNotFoundError, feature: str, *extras: str) -> ModuleNotFoundError:
    """Return an error that says how to install what a feature needs.

    Args:
        error: Why the library could not be imported.
        feature: What needs the library, as the caller knows it.
        *extras: The extras of this package that bring the library; any one of them suffices.
    """
    commands = " or ".join(f"pip install 'unexpired[{extra}]'" for extra in extras)
    message = f"{feature} needs {error.name}, which is not installed: {commands}"
    return ModuleNotFoundError(message, name=error.name, path=error.path)


def no_browser(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return an error that says where a client for the browser can be made.

    Args:
        error: Why a module that only browsers have could not be imported.
    """
    message = (
        f"in_browser() needs a web page ({error.name} is missing); a program uses on_desktop()"
    )
    return ModuleNotFoundError(message, name=error.name, path=error.path)


def no_desktop(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return an error that says which client a page uses.

    Args:
        error: Why a module that only programs have could not be imported.
    """
    message = f"on_desktop() needs a program ({error.name} is missing); a page uses in_browser()"
    return ModuleNotFoundError(message, name=error.name, path=error.path)


def unknown_option(name: str, known: Iterable[str]) -> str:
    """Return the message for an option that does not exist, with the one that was likely meant.

    Args:
        name: The name that the caller gave.
        known: The names that exist.
    """
    closest = get_close_matches(name, list(known), n=1)
    return f"there is no option {name}" + (f"; did you mean {closest[0]}?" if closest else "")
