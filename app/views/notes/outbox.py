"""Sends notes, and queues on the device those that cannot be sent yet.

Each note has an ``Idempotency-Key``, which the server honours for a day, so a note whose response
was lost is not stored twice. Queued notes are sent in the order in which they were written, one at
a time and by one tab at a time: on events that suggest that the server can be reached again, and
otherwise after a growing back-off. The queue survives reloads, expiries and sign-outs. It is sent
when its author is signed in again; no other user's page shows or sends it, and only its author can
discard a note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from js import Date, navigator, window

from unexpired import AsyncClient, NotSignedIn, UnexpiredError, Unreachable
from views.notes.delivery import Delivery, raise_if_unanswered, user_id_of
from views.notes.pending_notes import PendingNote, PendingNotes
from views.ui.dom import listen
from views.ui.error_messages import SESSION_OVER, error_message

PATH = "/api/notes"
SEND_TIMEOUT = 5.0  # s; short, because the person is waiting to write the next note
QUEUE_TIMEOUT = 30.0  # s; nobody waits for a queued note, so a slow response is fine
STORAGE_FULL = (
    "The note could not be sent, and this device cannot store it. It stays in the text box."
)


class Outbox:
    """Sends the notes of the signed-in user.

    Args:
        client: Sends the requests.
        storage_key: The session's storage key, which prefixes the names of the pending notes.
    """

    def __init__(self, client: AsyncClient, storage_key: str) -> None:
        self._client = client
        self._notes = PendingNotes(storage_key)
        self._delivery = Delivery(
            client, f"{storage_key}.outbox", self._send_in_order, lambda: self._next() is not None
        )

    def start(
        self,
        *,
        on_sent: Callable[[str, Mapping[str, Any]], None],
        on_delivered: Callable[[Mapping[str, Any] | None], None],
        on_changed: Callable[[], None],
    ) -> None:
        """Send the queue now, and again on each event that suggests that it may work.

        Args:
            on_sent: Called with the name of a pending note and what the server has stored of it,
                before the pending note is deleted.
            on_delivered: Called with each note that the server has stored; with None if another
                tab sent it.
            on_changed: Called when the pending notes have changed.
        """
        self._on_sent, self._on_delivered, self._on_changed = on_sent, on_delivered, on_changed
        listen(window, "storage", self._on_storage)
        self._delivery.start()

    @property
    def pending(self) -> list[PendingNote]:
        """The pending notes, in the order in which they were written."""
        user_id = self._user_id
        return self._notes.load(user_id) if user_id else []

    async def post(self, text: str, key: str) -> None:
        """Send a note, or queue it if the server cannot be reached.

        Raises:
            Unreachable: If it could be neither sent nor queued.
            UnexpiredError: If the server refused it, or the session is over.
        """
        user_id = self._user_id
        note = PendingNote(text, key, self._next_position())
        if navigator.onLine and not self.pending:
            try:
                self._on_delivered(await self._send(user_id, note, SEND_TIMEOUT))
            except Unreachable:
                pass
            else:
                return
        if not self._notes.save(user_id, note):
            raise Unreachable(STORAGE_FULL)
        self._on_changed()
        self.flush()

    def flush(self) -> None:
        """Send the queue, unless that is under way."""
        self._delivery.flush()

    async def finish(self, seconds: float) -> None:
        """Send the queue, and wait for that within a limit of time."""
        await self._delivery.finish(seconds)

    def keep(self, user_id: str, text: str, refusal: str) -> bool:
        """Keep an edit that could not be saved in its note, until its author decides.

        Args:
            user_id: The author.
            text: The text.
            refusal: Why it was not saved.

        Returns:
            Whether it is kept.
        """
        note = PendingNote(text, f'"{uuid4()}"', self._next_position(), refusal, is_edit=True)
        is_kept = self._notes.save(user_id, note)
        self._on_changed()
        return is_kept

    def retry(self, note: PendingNote, text: str) -> bool:
        """Queue a refused note again, with this text; return whether that worked."""
        is_stored = self._notes.save(self._user_id, replace(note, text=text, refusal=""))
        self._on_changed()
        self.flush()
        return is_stored

    def discard(self, note: PendingNote) -> None:
        """Delete a pending note."""
        self._notes.delete(self._user_id, note)
        self._on_changed()

    # -- The queue -----------------------------------------------------------------------------

    async def _send_in_order(self, user_id: str) -> None:
        while (note := self._next()) is not None:
            try:
                stored = await self._send(user_id, note, QUEUE_TIMEOUT)
            except (Unreachable, *SESSION_OVER):
                raise
            except UnexpiredError as error:
                self._notes.save(user_id, replace(note, refusal=error_message(error)))
                self._on_changed()
            else:
                self._on_sent(note.name, stored)
                self._notes.delete(user_id, note)
                self._on_changed()
                self._on_delivered(stored)

    async def _send(self, user_id: str, note: PendingNote, seconds: float) -> Mapping[str, Any]:
        # Another tab may have signed in another user, who must not send this note.
        self._client.wake()
        if self._user_id != user_id:
            raise NotSignedIn
        headers = {"Idempotency-Key": note.key}
        response = await self._client.post(
            PATH, json={"text": note.text}, headers=headers, timeout=seconds
        )
        raise_if_unanswered(response)
        return response.raise_for_status().fields

    def _on_storage(self, js_event: Any) -> None:
        name = js_event.key
        if isinstance(name, str) and name.startswith(self._notes.prefix(self._user_id)):
            self._on_changed()
            if not isinstance(js_event.newValue, str):
                self._on_delivered(None)

    # -- Its state -----------------------------------------------------------------------------

    @property
    def _user_id(self) -> str:
        return user_id_of(self._client)

    def _next(self) -> PendingNote | None:
        return next((note for note in self.pending if not note.refusal), None)

    def _next_position(self) -> int:
        """Return the current time, or a later one if the clock went back behind a queued note."""
        return max([int(Date.now()), *(note.at + 1 for note in self.pending)])
