"""Writing a note: the form, and the draft that outlives the page, the session and the network.

One draft in several tabs: what is typed in one is seen in the others. Storage holds what was
written last, and a box takes it over when that is an edit of what the box shows and nobody has the
cursor in it, or when the box is empty. Any other text stays where a person saw it: two tabs that
were typed in at once each keep their own. A draft that was sent or emptied in one tab is emptied in
the others where it still stands as it was.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from js import document, window

from views.notes.drafts import Draft, Drafts, draft_in
from views.ui.dom import busy, is_busy, listen, start
from views.ui.error_messages import told_in
from views.ui.i18n import tr

DRAFT_KEPT = "Draft kept on this device"


class Writing:
    """The form for a new note.

    Args:
        form: The form element.
        drafts: Keeps what is not sent yet.
        send: Takes a text and its idempotency key; returns once the note is in good hands.
        taken: Hears that another tab has emptied the draft: most likely it was sent.
    """

    def __init__(
        self,
        form: Any,
        drafts: Drafts,
        send: Callable[[str, str], Awaitable[None]],
        taken: Callable[[], None],
    ) -> None:
        self._text = form.querySelector("textarea")
        self._button = form.querySelector("button")
        self._alert = form.querySelector("[role=alert]")
        self._hint = form.querySelector(".draft")
        self._drafts = drafts
        self._send = send
        self._taken = taken
        self._user_id = ""
        self._draft = Draft()
        listen(self._text, "input", lambda _: self._edited())
        listen(form, "submit", lambda _: self._submit())
        listen(window, "storage", self._stored)

    def restore(self, user_id: str) -> None:
        """Show the user's draft; what stands there already is kept, unless it is someone else's."""
        if user_id != self._user_id or not self._text.value:
            self._user_id = user_id
            self._show(self._drafts.load(user_id))

    def leave(self) -> None:
        """Forget the draft, here and on the device: its writer has signed out."""
        self._drafts.forget(self._user_id)
        self._show(Draft())

    def _show(self, draft: Draft) -> None:
        self._draft = draft
        self._text.value = draft.text
        self._hint.textContent = tr(DRAFT_KEPT) if draft.text else ""

    def _edited(self) -> None:
        before, text = self._draft, self._text.value
        self._draft = before.edited(text)
        if text:
            kept = self._drafts.save(self._user_id, self._draft)
        else:
            kept = False
            self._drafts.forget(self._user_id, before)
        self._hint.textContent = tr(DRAFT_KEPT) if kept else ""

    # -- Other tabs ----------------------------------------------------------------------------

    def _stored(self, js_event: Any) -> None:
        if js_event.key != self._drafts.name(self._user_id):
            return
        before, after = draft_in(js_event.oldValue), draft_in(js_event.newValue)
        if after.text:
            if not self._is_being_written(after):
                self._show(after)
            return
        if before.key == self._draft.key:
            self._show(after)
        self._taken()

    def _is_being_written(self, other: Draft) -> bool:
        """Whether what stands here would be missed if the other draft took its place."""
        has_cursor = document.hasFocus() and document.activeElement == self._text
        return bool(self._text.value) and (has_cursor or other.over != self._draft.key)

    # -- Sending -------------------------------------------------------------------------------

    def _submit(self) -> None:
        if self._text.value != self._draft.text:  # Changed by what fires no event.
            self._edited()
        start(self._deliver(self._draft))

    async def _deliver(self, draft: Draft) -> None:
        if is_busy(self._button):
            return
        with busy(self._button), told_in(self._alert):
            await self._send(draft.text, draft.key)
            if self._text.value == draft.text:  # Else the person has gone on typing meanwhile.
                self._text.value = ""
                self._edited()
        self._text.focus()
