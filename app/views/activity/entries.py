"""What the Activity view shows: requests with their outcomes, and lifetimes of access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["request", "retry", "refresh"]
State = Literal["pending", "done", "failed", "healed"]
End = Literal["renewed", "expired", "session ended"]


@dataclass(slots=True, eq=False)
class Entry:
    """One request and its outcome.

    Attributes:
        kind: A request, its retry after a refusal, or a refresh.
        call: The method and the path, such as "GET /api/notes".
        sent_at: When it was sent, in monotonic seconds.
        number: The call of the page that it belongs to, or that started this refresh; 0 for none.
        asked_at: When the page made that call; None for no call.
        duration: Seconds until the response, or None until then.
        outcome: The response's status and code, or why there is none.
        failed: Whether the response was not a success, or none came.
        healed: Whether it failed, and a later one made up for it.
    """

    kind: Kind
    call: str
    sent_at: float
    number: int = 0
    asked_at: float | None = None
    duration: float | None = None
    outcome: str = "pending"
    failed: bool = False
    healed: bool = False

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.healed:
            return "healed"
        if self.failed:
            return "failed"
        return "pending" if self.duration is None else "done"

    @property
    def ended_at(self) -> float | None:
        """When the response came, in monotonic seconds; None until then."""
        return None if self.duration is None else self.sent_at + self.duration


@dataclass(slots=True, eq=False)
class TokenLifetime:
    """The lifetime of one access token, in monotonic seconds.

    Attributes:
        issued_at: When the server issued it.
        refresh_at: When it is due for a refresh; None if it cannot be renewed.
        expires_at: When it expires.
        ended_at: When a newer token replaced it, or its session ended.
        end: Why it ended then.
    """

    issued_at: float
    refresh_at: float | None
    expires_at: float
    ended_at: float | None = None
    end: End | None = None

    def end_time(self, now: float) -> float | None:
        """Return when it ended; None while it is valid."""
        if self.ended_at is not None and self.ended_at <= now:
            return self.ended_at
        return self.expires_at if now >= self.expires_at else None

    def end_reason(self, now: float) -> End | None:
        """Return why it ended; None while it is valid."""
        if self.ended_at is not None and self.ended_at <= now:
            return self.end
        return "expired" if now >= self.expires_at else None
