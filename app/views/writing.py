"""Writing a note: the form, and the draft that outlives the page, the session and the network."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from .dom import busy, is_busy, listen, start
from .drafts import Drafts
from .troubles import TYPED_IS_KEPT, told_in

DRAFT_KEPT = "Draft kept on this device"


class Writing:
    """The form for a new note.

    Args:
        form: The form element.
        drafts: Keeps what is not sent yet.
        send: Sends a text under an idempotency key; returns once the server has it.
    """

    def __init__(
        self, form: Any, drafts: Drafts, send: Callable[[str, str], Awaitable[None]]
    ) -> None:
        self._text = form.querySelector("textarea")
        self._button = form.querySelector("button")
        self._alert = form.querySelector("[role=alert]")
        self._hint = form.querySelector(".draft")
        self._drafts = drafts
        self._send = send
        self._user_id = ""
        self._key = _fresh_key()
        listen(self._text, "input", lambda _: self._edited())
        # Read at once: what counts is what stands there when the button is pressed.
        listen(form, "submit", lambda _: start(self._deliver(self._text.value, self._key)))

    def restore(self, user_id: str) -> None:
        """Show the user's draft; what stands there already is kept, unless it is someone else's."""
        if user_id != self._user_id or not self._text.value:
            self._user_id = user_id
            self._text.value = self._drafts.load(user_id)
            self._key = _fresh_key()
        self._hint.textContent = DRAFT_KEPT if self._text.value else ""

    def clear(self) -> None:
        """Forget the text: it was sent, or its writer has signed out."""
        self._text.value = ""
        self._edited()

    def _edited(self) -> None:
        # Another text is another note: only a repeat of the very same may count as one.
        self._key = _fresh_key()
        kept = self._drafts.save(self._user_id, self._text.value)
        self._hint.textContent = DRAFT_KEPT if kept and self._text.value else ""

    async def _deliver(self, text: str, key: str) -> None:
        if is_busy(self._button):
            return
        with busy(self._button), told_in(self._alert, comfort=TYPED_IS_KEPT):
            await self._send(text, key)
            if self._text.value == text:  # Else the person has gone on typing meanwhile.
                self.clear()
        self._text.focus()


def _fresh_key() -> str:
    return f'"{uuid4()}"'
