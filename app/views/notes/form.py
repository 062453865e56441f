"""The form for a new note. Its draft survives reloads, sign-ins and outages, and syncs across tabs.

Storage contains the draft that was edited last. A tab shows it if that loses no text: when the text
box is empty, or when the new draft is an edit of the one shown and the cursor is not in the box. So
two tabs that are edited at the same time each keep their own text. Once a draft was sent or cleared
in one tab, the other tabs clear it too, unless they show another text by then.

A text that is longer than a note may be is never cut: it is added as several notes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from js import document, window

from views.notes.drafts import Draft, Drafts, parse_draft
from views.notes.length import MAX_LENGTH, divide
from views.ui.dom import busy, is_busy, listen, start_task
from views.ui.error_messages import errors_shown_in
from views.ui.i18n import tr, tr_plural

DRAFT_SAVED = "Draft saved on this device"
QUOTE = '"'
TOO_LONG = (
    "This is longer than a note, which has up to 2,000 characters. It is added as several notes;"
    " nothing is cut."
)


class NoteForm:
    """The form for a new note.

    Args:
        form: The form element.
        drafts: Stores the draft.
        send: Sends a text with an idempotency key; returns once the note is sent or queued.
        on_cleared_elsewhere: Called when another tab cleared the draft, usually by sending it.
    """

    def __init__(
        self,
        form: Any,
        drafts: Drafts,
        send: Callable[[str, str], Awaitable[None]],
        on_cleared_elsewhere: Callable[[], None],
    ) -> None:
        self._text = form.querySelector("textarea")
        self._button = form.querySelector("button")
        self._alert = form.querySelector("[role=alert]")
        self._hint = form.querySelector(".draft")
        self._counter = form.querySelector(".counter")
        self._long = form.querySelector("[role=status]")
        self._drafts = drafts
        self._send = send
        self._on_cleared_elsewhere = on_cleared_elsewhere
        self._user_id = ""
        self._draft = Draft()
        listen(self._text, "input", lambda _: self._on_input())
        listen(form, "submit", lambda _: self._on_submit())
        listen(window, "storage", self._on_storage)

    def restore(self, user_id: str) -> None:
        """Show the user's stored draft, unless the box already contains a text of that user."""
        if user_id != self._user_id or not self._text.value:
            self._user_id = user_id
            self._show(self._drafts.load(user_id))

    def has_draft(self, user_id: str) -> bool:
        """Return whether the user has begun a note, in the box or on the device."""
        is_shown = user_id == self._user_id and self._text.value
        return bool(is_shown or self._drafts.load(user_id).text)

    def discard(self, user_id: str) -> None:
        """Delete the draft from the page and from the device: its author has signed out."""
        self._drafts.delete(user_id)
        self._show(Draft())

    def _show(self, draft: Draft) -> None:
        self._draft = draft
        self._text.value = draft.text
        self._show_hint(is_saved=bool(draft.text))

    def _on_input(self) -> None:
        before, text = self._draft, self._text.value
        self._draft = before.edited(text)
        if text:
            saved = self._drafts.save(self._user_id, self._draft)
        else:
            saved = False
            self._drafts.delete(self._user_id, before)
        self._show_hint(is_saved=saved)

    def _show_hint(self, *, is_saved: bool) -> None:
        """Show what happens to the text: whether it is saved, its length, its number of notes."""
        length = len(self._draft.text)
        self._hint.textContent = tr(DRAFT_SAVED) if is_saved else ""
        self._counter.textContent = f"{length} / {MAX_LENGTH}" if length else ""
        is_long = length > MAX_LENGTH
        self._counter.classList.toggle("over", is_long)
        count = len(divide(self._draft.text)) if is_long else 1
        self._button.textContent = tr_plural(count, "Add note", "Add as {} notes")
        message = tr(TOO_LONG) if count > 1 else ""
        if self._long.textContent != message:  # A screen reader announces each write.
            self._long.textContent = message

    # -- Other tabs ----------------------------------------------------------------------------

    def _on_storage(self, js_event: Any) -> None:
        if js_event.key != self._drafts.name(self._user_id):
            return
        before, after = parse_draft(js_event.oldValue), parse_draft(js_event.newValue)
        if after.text:
            if not self._would_lose_text(after):
                self._show(after)
            return
        if before.key == self._draft.key:
            self._show(after)
        self._on_cleared_elsewhere()

    def _would_lose_text(self, draft: Draft) -> bool:
        """Return whether showing the draft would replace a text that the person still needs."""
        has_cursor = document.hasFocus() and document.activeElement == self._text
        return bool(self._text.value) and (has_cursor or draft.previous_key != self._draft.key)

    # -- Sending -------------------------------------------------------------------------------

    def _on_submit(self) -> None:
        if self._text.value != self._draft.text:  # Changed without an input event.
            self._on_input()
        start_task(self._send_draft(self._draft))

    async def _send_draft(self, draft: Draft) -> None:
        if is_busy(self._button):
            return
        with busy(self._button), errors_shown_in(self._alert):
            await self._send_parts(draft)
            if self._text.value == draft.text:  # Otherwise the person kept typing meanwhile.
                self._text.value = ""
                self._on_input()
        self._text.focus()

    async def _send_parts(self, draft: Draft) -> None:
        """Send the draft: a long one as several notes, the last first, so that they can be read."""
        if len(draft.text) <= MAX_LENGTH:
            await self._send(draft.text, draft.key)
            return
        parts = list(enumerate(divide(draft.text), 1))
        for number, part in reversed(parts):
            # A key for each part, and the same ones if the draft has to be sent again.
            await self._send(part, f'{draft.key.rstrip(QUOTE)}.{number}"')
