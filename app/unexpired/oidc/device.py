"""The device grant: the person signs in on another device, and this one waits (RFC 8628). Pure.

For programs without a browser beside them: in a terminal on a distant machine, in a notebook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from unexpired.errors import SignInFailed, Unreachable
from unexpired.messages import Response
from unexpired.oidc.metadata import is_safe, refuse
from unexpired.token_response import error_code, finite_seconds, is_outage, is_sendable

DEFAULT_INTERVAL = 5.0  # s. RFC 8628, section 3.2.
MIN_INTERVAL = 1.0  # s
MAX_INTERVAL = 60.0  # s
SLOW_DOWN = 5.0  # s. RFC 8628, section 3.5.
MAX_EXPIRES_IN = 3600.0  # s
MAX_USER_CODE = 64  # A person has to type it.

UNDECIDED = frozenset({"authorization_pending", "slow_down"})
"""The codes that ask to go on (RFC 8628, section 3.5)."""

_ADDRESS = re.compile(r"[!-~]{1,2048}")
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class DevicePrompt:
    """What the person needs to sign in on another device.

    Attributes:
        user_code: The code to enter there; it compares what both devices show, too.
        verification_uri: Where to enter it; short enough to type.
        verification_uri_complete: The same with the code in it, for a link or a QR code; empty if
            the provider offers none. RFC 8628, section 3.3.1: show the code with it.
        expires_in: Seconds that the person has.
    """

    user_code: str = field(repr=False)
    verification_uri: str
    verification_uri_complete: str = field(repr=False)
    expires_in: float


@dataclass(frozen=True, repr=False)
class Device:
    """A device grant that has begun.

    Attributes:
        prompt: What to show the person.
        code: The ``device_code``, which only this device knows.
        polling: When to ask for the tokens.
    """

    prompt: DevicePrompt
    code: str
    polling: Polling


class Polling:
    """When to ask again whether the person has signed in (RFC 8628, section 3.5).

    Args:
        interval: Seconds before the first time, and between two.
        expires_at: When the code ends, by the clock that never goes back.

    Attributes:
        interval: Seconds between two times, which the provider may lengthen.
    """

    def __init__(self, interval: float, expires_at: float) -> None:
        self.interval = interval
        self._expires_at = expires_at
        self._outages = 0

    def after(self, code: str | None, now: float, asked_for: float = 0.0) -> float:
        """Return the seconds to wait before the next time.

        Args:
            code: The error code of the response; None if there was no usable response.
            now: The time, by the clock that never goes back.
            asked_for: The seconds that the provider asks to wait (``Retry-After``).

        Raises:
            SignInFailed: If the person refused (``access_denied``), the code has ended
                (``expired_token``, ``SIGN_IN_TIMED_OUT``), or the provider has any other reason.
        """
        if code is not None and code not in UNDECIDED:
            raise SignInFailed(code)
        if now >= self._expires_at:
            raise SignInFailed("SIGN_IN_TIMED_OUT")
        self._outages = self._outages + 1 if code is None else 0
        if code == "slow_down":
            self.interval += SLOW_DOWN
        # The last time is as late as the code allows: the person may sign in at the last moment.
        longest = max(self.interval, self._expires_at - now)
        return min(max(self._wait(), asked_for), longest)

    def _wait(self) -> float:
        """Return the interval, doubled by each outage since the last response."""
        doubled = self.interval * 2.0 ** min(self._outages, 16)
        return max(self.interval, min(doubled, MAX_INTERVAL))


def read_device_response(response: Response, now: float) -> Device:
    """Return the device grant in a response (RFC 8628, section 3.2).

    Args:
        response: The response to a request for one.
        now: The time, by the clock that never goes back.

    Raises:
        SignInFailed: If the provider refused, or its response is not to be used.
        Unreachable: If there was no usable response.
    """
    status, fields = response.status_code, response.fields
    if is_outage(status) or not (fields or response.is_client_error):
        raise Unreachable
    if not response.is_success:
        raise SignInFailed(
            error_code(fields.get("error")), f"The device authorization endpoint answered {status}."
        )
    prompt = _prompt(fields)
    interval = _seconds(fields.get("interval")) or DEFAULT_INTERVAL
    interval = min(max(interval, MIN_INTERVAL), MAX_INTERVAL)
    return Device(prompt, _device_code(fields), Polling(interval, now + prompt.expires_in))


def _prompt(fields: Mapping[str, Any]) -> DevicePrompt:
    # Google has a name of its own for the address:
    # https://developers.google.com/identity/protocols/oauth2/limited-input-device
    address = _address(fields, "verification_uri") or _address(fields, "verification_url")
    if not address:
        _bad("has no verification_uri")
    expires_in = _seconds(fields.get("expires_in"))
    if expires_in is None:
        _bad("has no expires_in")
    return DevicePrompt(
        _user_code(fields),
        address,
        _address(fields, "verification_uri_complete"),
        min(expires_in, MAX_EXPIRES_IN),
    )


def _user_code(fields: Mapping[str, Any]) -> str:
    """Return the code to show, which may not move a terminal's cursor or write backwards."""
    code = fields.get("user_code")
    if not isinstance(code, str) or not code.strip() or len(code) > MAX_USER_CODE:
        _bad("has no user_code that a person could type")
    if not code.isprintable():
        _bad("has a user_code with characters that cannot be shown")
    return code


def _device_code(fields: Mapping[str, Any]) -> str:
    code = fields.get("device_code")
    if not isinstance(code, str) or not is_sendable(code):
        _bad("has no device_code")
    return code


def _address(fields: Mapping[str, Any], name: str) -> str:
    """Return an address for the person to open, or an empty text if there is none."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or not is_safe(value):
        refuse(name, "is not an https address in ASCII, without a username")
    return value


def _seconds(value: object) -> float | None:
    """Return a positive number of seconds, which some servers send as a text; else None."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    return finite_seconds(value) or None


def _bad(complaint: str) -> NoReturn:
    raise SignInFailed("BAD_ANSWER", f"The response to the device request {complaint}.")
