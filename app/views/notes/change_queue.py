"""Sends changes of notes, and keeps on the device those that cannot be sent yet.

A deletion is sent after some seconds in which it can be undone; an edit is sent at once. Both
survive reloads and expiries, and are sent when their author is signed in again; a sign-out first
sends them all. A text that the server does not take, because the note was changed or deleted
elsewhere, is kept.

An edit of a note that itself waits to be sent waits for the note's id. The note goes out as it was
written, because the server may have it already: an earlier response may be lost. Its edit follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from js import Date, window

from unexpired import AsyncClient, BadReply, NotSignedIn, Response
from views.notes.changes import Change, Changes
from views.notes.delivery import Delivery, raise_if_unanswered, user_id_of
from views.notes.note import Note, note_from
from views.notes.outbox import PATH
from views.ui.dom import listen
from views.ui.error_messages import error_message
from views.ui.i18n import tr

UNDO_MS = 10_000
"""How long a deletion can be undone."""

SEND_TIMEOUT = 30.0  # s; nobody waits for it
CONFLICT, NOT_FOUND = 409, 404
DELETED = {204, NOT_FOUND}
CHANGED_ELSEWHERE = (
    "This note was changed in another tab or on another device while you edited it. Both texts are"
    " kept: the other one in the note, and yours here."
)
DELETED_ELSEWHERE = (
    "This note was deleted in another tab or on another device. Your text is kept here."
)


class ChangeQueue:
    """The changes of the signed-in user's notes.

    Args:
        client: Sends the requests.
        storage_key: The session's storage key, which prefixes the names of the changes.
        keep: Keeps a text of a user that was not saved, with the reason; returns whether it did.
    """

    def __init__(
        self, client: AsyncClient, storage_key: str, keep: Callable[[str, str, str], bool]
    ) -> None:
        self._client = client
        self._changes = Changes(storage_key)
        self._keep = keep
        self._undo_ms = UNDO_MS
        self._delivery = Delivery(
            client, f"{storage_key}.changes", self._send_due, lambda: self._next() is not None
        )

    def start(
        self,
        *,
        on_changed: Callable[[str], None],
        on_saved: Callable[[Note], None],
        on_deleted: Callable[[str], None],
        on_refused: Callable[[str], None],
        on_sent_elsewhere: Callable[[], None],
    ) -> None:
        """Send what is due now, and again on each event that suggests that it may work.

        Args:
            on_changed: Called with the id of a note whose change is new or gone.
            on_saved: Called with a note as the server has it, after an edit.
            on_deleted: Called with the id of a note that the server no longer has.
            on_refused: Called with the reason why a note was not deleted.
            on_sent_elsewhere: Called when another tab has sent or undone a change.
        """
        self._on_changed, self._on_saved = on_changed, on_saved
        self._on_deleted, self._on_refused = on_deleted, on_refused
        self._on_sent_elsewhere = on_sent_elsewhere
        listen(window, "storage", self._on_storage)
        self._delivery.start()
        if any(map(_is_deletion, self.pending.values())):
            self._delivery.flush_in(UNDO_MS)

    @property
    def pending(self) -> dict[str, Change]:
        """The changes that the server does not have yet, by the note's id."""
        user_id = user_id_of(self._client)
        return self._changes.load(user_id) if user_id else {}

    @property
    def is_waiting(self) -> bool:
        """Whether changes wait for the network."""
        return self._delivery.is_waiting

    def delete(self, note: Note) -> None:
        """Delete a note, unless that is undone in time."""
        self.put(Change(str(note.id), int(Date.now())))
        self._delivery.flush_in(UNDO_MS + 1)

    def put(self, change: Change) -> bool:
        """Keep a change, and send it if it is due; return whether it survives a reload."""
        is_stored = self._changes.save(user_id_of(self._client), change)
        self._on_changed(change.note_id)
        self._delivery.flush()
        return is_stored

    def discard(self, note_id: str) -> None:
        """Forget the note's change, such as a deletion that is undone."""
        change = self.pending.get(note_id)
        if change is not None:
            self._drop(user_id_of(self._client), change)

    def discard_drafts(self, user_id: str) -> None:
        """Forget what a user has not finished."""
        for change in self._changes.load(user_id).values():
            if change.is_draft and change.finished is not None:
                self._changes.save(user_id, change.finished)
            elif change.is_draft:
                self._changes.delete(user_id, change)

    def move(self, name: str, note: Note) -> None:
        """Make the edit of a note that waited one of the note that the server has stored."""
        change, other = self.pending.get(name), self.pending.get(str(note.id))
        if change is None:
            return
        if other is None or other.key == change.key:
            self._rename(change, replace(change, note_id=str(note.id), version=note.version))
        else:
            self.keep(change.text or "", tr(CHANGED_ELSEWHERE))
            self.discard(name)

    def settle(self, name: str) -> Change | None:
        """Move an edit whose note waits no more: another tab has delivered or discarded it.

        Args:
            name: The name that the note had.

        Returns:
            The edit of the stored note; None if there is none, and the text is kept beside.
        """
        change = self.pending.get(name)
        if change is None:
            return None
        moved = next((one for one in self.pending.values() if _is_continued(change, one)), None)
        if moved is None:
            self.keep(change.text or "", tr(DELETED_ELSEWHERE))
            self.discard(name)
            return None
        return self._rename(change, replace(change, note_id=moved.note_id, version=moved.version))

    async def finish(self, seconds: float) -> None:
        """Send all changes, deletions too, and wait for that within a limit of time."""
        self._undo_ms = 0
        try:
            await self._delivery.finish(seconds)
        finally:
            self._undo_ms = UNDO_MS

    def keep(self, text: str, reason: str) -> bool:
        """Keep a text that cannot be saved in its note; return whether that worked."""
        return self._keep(user_id_of(self._client), text, reason)

    def _rename(self, change: Change, moved: Change) -> Change:
        is_stored = self.put(moved)
        self.discard(change.note_id)
        if not is_stored:
            self.put(moved)  # A full storage has room now.
        return moved

    def _drop(self, user_id: str, change: Change) -> None:
        self._changes.delete(user_id, change)
        self._on_changed(change.note_id)

    # -- Sending -------------------------------------------------------------------------------

    def _next(self) -> Change | None:
        return next(filter(self._is_due, self.pending.values()), None)

    def _is_due(self, change: Change) -> bool:
        if not change.has_id:
            return False
        if change.text is None:
            return bool(Date.now() >= change.at + self._undo_ms)
        return not change.is_draft

    async def _send_due(self, user_id: str) -> None:
        while (change := self._next()) is not None:
            # Another tab may have signed in another user, who must not send this.
            self._client.wake()
            if user_id_of(self._client) != user_id:
                raise NotSignedIn
            if change.text is None:
                await self._send_deletion(user_id, change)
            else:
                await self._send_edit(user_id, change, change.text)

    async def _send_deletion(self, user_id: str, change: Change) -> None:
        response = await self._client.delete(_path(change), timeout=SEND_TIMEOUT)
        if response.status_code in DELETED:
            self._drop(user_id, change)
            self._on_deleted(change.note_id)
            return
        raise_if_unanswered(response)
        self._drop(user_id, change)
        self._on_refused(_reason(response))

    async def _send_edit(self, user_id: str, change: Change, text: str) -> None:
        body = {"text": text, "version": change.version}
        response = await self._client.put(_path(change), json=body, timeout=SEND_TIMEOUT)
        raise_if_unanswered(response)
        if response.is_success:
            self._finish(user_id, change, note_from(response.fields))
        elif response.status_code == CONFLICT and "note" in response.fields:
            self._keep_text(user_id, change, tr(CHANGED_ELSEWHERE))
            self._on_saved(note_from(response.fields["note"]))
        elif response.status_code == NOT_FOUND:
            self._keep_text(user_id, change, tr(DELETED_ELSEWHERE))
            self._on_deleted(change.note_id)
        else:
            self._keep_text(user_id, change, _reason(response))

    def _finish(self, user_id: str, change: Change, note: Note) -> None:
        """Forget an edit that is saved; one of its own that was made meanwhile goes on from it."""
        last = self._changes.load(user_id).get(change.note_id)
        if last is not None and last != change and last.key == change.key:
            saved = None if last.saved == change.text else last.saved
            self._changes.save(user_id, replace(last, version=note.version, saved=saved))
        self._drop(user_id, change)
        self._on_saved(note)

    def _keep_text(self, user_id: str, change: Change, reason: str) -> None:
        """Keep the text of an edit that the server does not take."""
        self._drop(user_id, change)
        if not self._keep(user_id, change.text or "", reason):
            self.put(replace(change, is_draft=True))

    # -- Other tabs ----------------------------------------------------------------------------

    def _on_storage(self, js_event: Any) -> None:
        name, prefix = js_event.key, self._changes.prefix(user_id_of(self._client))
        if isinstance(name, str) and name.startswith(prefix):
            note_id = name.removeprefix(prefix)
            self._on_changed(note_id)
            if isinstance(js_event.newValue, str):
                if _is_deletion(self.pending.get(note_id)):
                    self._delivery.flush_in(UNDO_MS + 1)  # The other tab may be closed by then.
            else:
                self._on_sent_elsewhere()


def _is_deletion(change: Change | None) -> bool:
    return change is not None and change.text is None


def _is_continued(change: Change, other: Change) -> bool:
    return other.key == change.key and other.note_id != change.note_id


def _path(change: Change) -> str:
    return f"{PATH}/{change.note_id}"


def _reason(response: Response) -> str:
    """Return why the server refuses a request, in the page's language."""
    try:
        response.raise_for_status()
    except BadReply as error:
        return error_message(error)
    return ""
