"""Sending notes, and keeping those that cannot be sent until they can.

A note that gets no answer waits on this device with its Idempotency-Key, which the server honours
for a day, so that one whose answer was lost is not there twice. What waits goes out when there is
reason to hope, and else after pauses that grow: in the order in which it was written, one note at a
time, from one tab at a time. It outlives a reload, an expiry and a sign-out, and goes out when its
writer is signed in again; nobody else's page shows or sends it. Only its writer discards it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import random
from typing import Any

from js import Date, clearTimeout, document, navigator, setTimeout, window
from pyodide.ffi import create_proxy

from unexpired import (
    AsyncClient,
    EventName,
    NotSignedIn,
    Response,
    UnexpiredError,
    Unreachable,
    backoff,
    parse_retry_after,
)
from unexpired.browser import open_lock
from views.notes.pending_notes import Shelf, Waiting
from views.ui.dom import listen, start
from views.ui.error_messages import SESSION_IS_OVER
from views.ui.i18n import told

PATH = "/api/notes"
PATIENCE = 5.0  # s; who waits longer for an answer would rather write the next note
LONG_PATIENCE = 30.0  # s; a note that waits anyway can wait for a slow answer
LOCK_PATIENCE = 60.0  # s; longer than another tab needs for one note
NO_ROOM = "The note could not be sent, and this device has no room to keep it: it stays in the box."
HOPEFUL: tuple[EventName, ...] = ("signed_in", "refreshed", "recovered")
ASK_AGAIN = {408, 425, 429}
SERVER_ERROR = 500


class Outbox:
    """Sends notes for whoever is signed in.

    Args:
        client: Sends them.
        storage_key: What the page keeps the session under: waiting notes lie beside it.
    """

    def __init__(self, client: AsyncClient, storage_key: str) -> None:
        self._client = client
        self._shelf = Shelf(storage_key)
        self._lock = open_lock(f"{storage_key}.outbox")
        self._is_flushing = False
        self._failures = 0
        self._timer: Any = 0
        self._flush_again = create_proxy(self.flush)

    def start(
        self,
        *,
        arrived: Callable[[Mapping[str, Any] | None], None],
        changed: Callable[[], None],
    ) -> None:
        """Send what waits whenever that may work, from now on.

        Args:
            arrived: Hears of each note that the server has; None when another tab sent it.
            changed: Hears that other notes wait than before.
        """
        self._arrived, self._changed = arrived, changed
        for event in HOPEFUL:
            self._client.on(event, lambda *_: self.flush())
        listen(window, "online", lambda _: self.flush())
        listen(document, "visibilitychange", lambda _: self._seen())
        listen(window, "storage", self._stored)
        self.flush()

    @property
    def waiting(self) -> list[Waiting]:
        """The notes that wait, in the order in which they were written."""
        user_id = self._user_id
        return self._shelf.of(user_id) if user_id else []

    async def post(self, text: str, key: str) -> None:
        """Send a note, or have it wait.

        Raises:
            Unreachable: It could neither be sent nor kept.
            UnexpiredError: The server has something against it, or the session is over.
        """
        user_id = self._user_id
        note = Waiting(text, key, self._next_place())
        if navigator.onLine and not self.waiting:
            try:
                self._arrived(await self._send(user_id, note, PATIENCE))
            except Unreachable:
                pass
            else:
                return
        if not self._shelf.put(user_id, note):
            raise Unreachable(NO_ROOM)
        self._changed()
        self.flush()

    def flush(self) -> None:
        """Send what waits, unless that is under way."""
        if not self._is_flushing and self._next() is not None:
            self._is_flushing = True
            start(self._flush())

    def retry(self, note: Waiting) -> None:
        """Send a refused note once more."""
        self._shelf.put(self._user_id, replace(note, refusal=""))
        self._changed()
        self.flush()

    def discard(self, note: Waiting) -> None:
        """Forget a note."""
        self._shelf.drop(self._user_id, note)
        self._changed()

    # -- One after the other -------------------------------------------------------------------

    async def _flush(self) -> None:
        clearTimeout(self._timer)
        try:
            # Of several tabs one sends; where there are no locks, the keys make two harmless.
            async with self._lock.hold(LOCK_PATIENCE):
                await self._send_in_order(self._user_id)
            self._failures = 0
        except Unreachable as error:
            self._failures += 1
            wait = max(backoff(self._failures, random()), error.retry_after or 0)  # noqa: S311 - no secret
            self._timer = setTimeout(self._flush_again, wait * 1000)
        except SESSION_IS_OVER:
            pass  # They wait for their writer.
        finally:
            self._is_flushing = False

    async def _send_in_order(self, user_id: str) -> None:
        while (note := self._next()) is not None:
            try:
                sent = await self._send(user_id, note, LONG_PATIENCE)
            except (Unreachable, *SESSION_IS_OVER):
                raise
            except UnexpiredError as error:
                self._shelf.put(user_id, replace(note, refusal=told(error)))
                self._changed()
            else:
                self._shelf.drop(user_id, note)
                self._changed()
                self._arrived(sent)

    async def _send(self, user_id: str, note: Waiting, patience: float) -> Mapping[str, Any]:
        # Another tab may have signed in somebody else, whose note this is not.
        self._client.wake()
        if self._user_id != user_id:
            raise NotSignedIn
        headers = {"Idempotency-Key": note.key}
        response = await self._client.post(
            PATH, json={"text": note.text}, headers=headers, timeout=patience
        )
        return _note_in(response)

    def _seen(self) -> None:
        if not document.hidden:
            self.flush()

    def _stored(self, js_event: Any) -> None:
        name = js_event.key
        if isinstance(name, str) and name.startswith(self._shelf.place(self._user_id)):
            self._changed()
            if not isinstance(js_event.newValue, str):
                self._arrived(None)

    # -- What there is -------------------------------------------------------------------------

    @property
    def _user_id(self) -> str:
        user = self._client.user
        return str(user["id"]) if user else ""

    def _next(self) -> Waiting | None:
        return next((note for note in self.waiting if not note.refusal), None)

    def _next_place(self) -> int:
        """Now, but behind all that waits, whatever the clock says."""
        return max([int(Date.now()), *(note.at + 1 for note in self.waiting)])


def _note_in(response: Response) -> Mapping[str, Any]:
    """Return the note that the server has taken.

    Raises:
        Unreachable: This is no answer to it: of a proxy, of a captive portal, or of a server that
            cannot serve at present.
        BadReply: The server has something against the note.
    """
    is_taken = response.is_success and "id" in response.fields
    is_refused = (
        SERVER_ERROR > response.status_code >= 400 and response.status_code not in ASK_AGAIN  # noqa: PLR2004
    )
    if not is_taken and not is_refused:
        raise Unreachable(retry_after=parse_retry_after(response, Date.now() / 1000))
    return response.raise_for_status().fields
