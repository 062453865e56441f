"""What was said of tokens a moment ago, within bounds of time and size."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from unexpired_server.tokens.access_tokens import ReadToken
from unexpired_server.tokens.introspected_tokens import Answer, Inactive, Unacceptable

REFUSED_SECONDS = 5.0
"""How long a refusal is kept: a token may be newer than what a replica of the server knows."""

Kept = TypeVar("Kept", bound=Answer)


def token_key(token: str) -> bytes:
    """Return a name for a token, from which it cannot be found out."""
    return hashlib.sha256(token.encode("ascii")).digest()


class AnswerCache:
    """Answers by token, for coroutines and threads; the least recently used ones go first.

    Refusals have a room of their own, so that invented tokens cannot evict real ones.

    Args:
        size: How many tokens are kept, and as many refusals.
        seconds: How long an answer is used.
        leeway: How far clocks may differ, in seconds.
        now: The clock, in Unix seconds.
    """

    def __init__(self, size: int, seconds: float, leeway: float, now: Callable[[], float]) -> None:
        self._size = size
        self._seconds = seconds
        self._leeway = leeway
        self._now = now
        self._accepted: OrderedDict[bytes, tuple[ReadToken, float]] = OrderedDict()
        self._refused: OrderedDict[bytes, tuple[Inactive | Unacceptable, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accepted) + len(self._refused)

    def find(self, key: bytes) -> Answer | None:
        """Return the answer for a token; None where the endpoint must be asked."""
        accepted = self._accepted.get(key)
        if accepted is not None:
            try:  # noqa: SIM105 - `suppress` takes longer than all the rest
                self._accepted.move_to_end(key)
            except KeyError:  # Another thread may have removed it.
                pass
            return self._fresh(*accepted)
        refused = self._refused.get(key)
        if refused is None or not self._is_within(refused[1], min(self._seconds, REFUSED_SECONDS)):
            return None
        return refused[0]

    def put(self, key: bytes, answer: Answer, asked_at: float) -> Answer:
        """Keep an answer, and return it with what is known of the token from before.

        Args:
            key: The token's name.
            answer: The answer.
            asked_at: When the endpoint was asked; it may have changed its mind since.
        """
        if isinstance(answer, ReadToken):
            self._refused.pop(key, None)
            self._store(self._accepted, key, answer, asked_at)
            return answer
        before = self._accepted.pop(key, None)
        if isinstance(answer, Inactive) and before and before[0].expires_at <= self._now():
            answer = Inactive(before[0].expires_at)
        self._store(self._refused, key, answer, asked_at)
        return answer

    def _fresh(self, token: ReadToken, asked_at: float) -> ReadToken | None:
        now = self._now()
        if now >= token.expires_at:
            # Within the leeway the endpoint decides; after it, there is nothing to ask.
            return token if now >= token.expires_at + self._leeway else None
        return token if self._is_within(asked_at, self._seconds) else None

    def _is_within(self, asked_at: float, seconds: float) -> bool:
        # A clock that was set back must not make an answer last longer.
        return 0 <= self._now() - asked_at < seconds

    def _store(
        self, entries: OrderedDict[bytes, tuple[Kept, float]], key: bytes, answer: Kept, at: float
    ) -> None:
        entries.pop(key, None)
        entries[key] = answer, at
        if len(entries) > self._size:
            entries.popitem(last=False)
