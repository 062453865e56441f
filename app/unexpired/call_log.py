"""The last failures of a client, for ``diagnose()``, and a log line for each response.

No query, fragment or userinfo of a URL, no header and no body gets in here. The path of a URL is
the application's: what it puts there is shown.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from unexpired.errors import Unreachable
from unexpired.messages import Request, Response, ResponseHead

MAX_FAILURES = 10
NO_RESPONSE = "No response came: there was no connection, or it took too long."

_log = logging.getLogger("unexpired")

_USERINFO = re.compile(r"(?<=//)[^/?#]*@")
_CODE = re.compile(r"[\w.:-]{1,64}")


def shown(url: str) -> str:
    """Return a URL without what may be secret in it: its query, fragment and userinfo."""
    return _USERINFO.sub("", re.split(r"[?#]", url, maxsplit=1)[0])


class CallLog:
    """What went wrong lately; the newest is last, and the oldest are dropped."""

    def __init__(self) -> None:
        self._failures: deque[Mapping[str, Any]] = deque(maxlen=MAX_FAILURES)
        self._warned: set[str] = set()

    @property
    def last_failures(self) -> list[dict[str, Any]]:
        """The last failures, as ``diagnose()`` shows them."""
        return [dict(failure) for failure in self._failures]

    def note_response(
        self,
        request: Request,
        response: ResponseHead,
        now: float,
        *,
        hint: str = "",
        is_mistake: bool = False,
    ) -> None:
        """Note a response, which is a failure if its status or a hint says so.

        Args:
            request: The request.
            response: Its response.
            now: The device's time, in Unix seconds.
            hint: What a developer can do about it.
            is_mistake: Whether the settings must be wrong, which is logged once as a warning.
        """
        status = response.status_code
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s %s: %d", request.method, shown(request.url), status)
        if is_mistake and hint not in self._warned:
            self._warned.add(hint)
            _log.warning("%s", hint)
        if response.is_error or hint:
            code = _code_of(response)  # It costs a look into the body.
            named = f"{status} and the code {code}" if code else f"{status}"
            reason = f"The server responded with {named}. {hint}".rstrip()
            self._add(request, now, status=status, code=code, reason=reason)

    def note_no_response(self, request: Request, error: Unreachable, now: float) -> None:
        """Note a request without a response."""
        reason = " ".join([*_system_reason(error), *getattr(error, "__notes__", [])])
        _log.debug("%s %s: no response", request.method, shown(request.url))
        self._add(request, now, status=None, code=None, reason=reason or NO_RESPONSE)

    def _add(
        self, request: Request, now: float, *, status: int | None, code: str | None, reason: str
    ) -> None:
        self._failures.append(
            {
                "method": request.method,
                "url": shown(request.url),
                "status": status,
                "code": code,
                "reason": reason,
                "at": _iso(now),
            }
        )


def _code_of(response: ResponseHead) -> str | None:
    """Return the response's code if it is a code: any other text may say too much."""
    code = response.code if isinstance(response, Response) else None
    return code if code and _CODE.fullmatch(code) else None


def _system_reason(error: Unreachable) -> list[str]:
    """Return the system's reason for a lost connection, if there is one."""
    cause: object = error.__cause__
    cause = getattr(cause, "reason", cause)  # urllib wraps the error of the socket.
    if not isinstance(cause, Exception):
        return []
    text = getattr(cause, "strerror", None)
    return [f"The connection failed: {text if isinstance(text, str) else type(cause).__name__}."]


def _iso(now: float) -> str:
    try:
        return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""  # A device's clock can say anything.
