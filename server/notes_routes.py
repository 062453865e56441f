"""The current user's notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.notes import Note, NoteChanged, Notes
from unexpired_server import (
    BEARER_FAILURES,
    BODY_FAILURES,
    ID_PARAMETER,
    PAGE_PARAMETERS,
    BadRequest,
    BearerAuthenticator,
    IdempotencyMismatch,
    NonEmptyStr,
    NotFound,
    Operation,
    Page,
    RequestModel,
    ResponseModel,
    Unavailable,
    iso,
    json_response,
    no_content,
    read_body,
    read_page,
)

KEY_LENGTH = 255
ID_LENGTH = 18
"""Digits; any number of so many has less than 64 bits."""

SEARCH_LENGTH = 100


class NewNote(RequestModel):
    """A note to add."""

    text: NonEmptyStr = Field(max_length=4000)


class EditedNote(NewNote):
    """A note's new text, and the version that it was made from."""

    version: NonEmptyStr = Field(max_length=64)


class NoteOut(ResponseModel):
    """A note."""

    id: str
    text: str
    created_at: str
    version: str


class NoteListOut(ResponseModel):
    """The notes, newest first; ``next`` asks for those ``after`` it, if there are more."""

    notes: list[NoteOut]
    next: str | None = None


class NoteChangedOut(ResponseModel):
    """That a note was changed in the meantime, and how it is now."""

    error: str
    code: str
    note: NoteOut


SEARCH: dict[str, Any] = {
    "name": "q",
    "in": "query",
    "description": "Only notes that contain each of these words.",
    "schema": {"type": "string", "maxLength": SEARCH_LENGTH, "pattern": r"^[^\x00]*$"},
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[ -~]+$"},
}

OPERATIONS = (
    Operation(
        "get", "/api/notes", "My notes", NoteListOut, (BadRequest, *BEARER_FAILURES, Unavailable),
        parameters=(SEARCH, *PAGE_PARAMETERS),
    ),
    Operation(
        "post", "/api/notes", "Add a note", NoteOut,
        (*BODY_FAILURES, *BEARER_FAILURES, IdempotencyMismatch, Unavailable), status=201,
        request=NewNote, parameters=(IDEMPOTENCY_KEY,),
    ),
    Operation(
        "put", "/api/notes/{id}", "Edit a note", NoteOut,
        (*BODY_FAILURES, *BEARER_FAILURES, NotFound, NoteChanged, Unavailable),
        request=EditedNote, parameters=(ID_PARAMETER,),
    ),
    Operation(
        "delete", "/api/notes/{id}", "Delete a note", None,
        (*BEARER_FAILURES, NotFound, Unavailable), status=204, parameters=(ID_PARAMETER,),
    ),
)  # fmt: skip


class NotesRoutes:
    """The example resource over HTTP.

    Args:
        notes: Stores them.
        bearer: Authenticates requests.
        now: The clock, in Unix seconds.
    """

    def __init__(self, notes: Notes, bearer: BearerAuthenticator, now: Callable[[], float]) -> None:
        self._notes = notes
        self._bearer = bearer
        self._now = now

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/notes", self.collection, methods=["GET", "POST"]),
            Route("/api/notes/{id}", self.one, methods=["PUT", "DELETE"]),
        ]

    async def collection(self, request: Request) -> Response:
        """List the notes, or add one."""
        user_id = (await self._bearer.authenticate(request)).user_id
        if request.method == "POST":
            return json_response(_note_out(await self._add(request, user_id)), 201)
        return json_response(await self._page(user_id, _words(request), read_page(request)))

    async def one(self, request: Request) -> Response:
        """Edit or delete a note; another user's does not exist for this one."""
        user_id = (await self._bearer.authenticate(request)).user_id
        edited = await read_body(request, EditedNote) if request.method == "PUT" else None
        note_id = _note_id(request.path_params["id"])
        if note_id is None:
            raise NotFound
        if edited:
            return await self._replace(user_id, note_id, edited)
        if not await self._notes.delete(user_id, note_id):
            raise NotFound
        return no_content()

    async def _replace(self, user_id: str, note_id: int, edited: EditedNote) -> Response:
        try:
            note = await self._notes.replace(user_id, note_id, edited.text, edited.version)
        except NoteChanged as exc:
            now = _note_out(exc.note)
            changed = NoteChangedOut(error=exc.message, code=exc.code, note=now)
            return json_response(changed, exc.status)
        if note is None:
            raise NotFound
        return json_response(_note_out(note))

    async def _page(self, user_id: str, words: list[str], page: Page) -> NoteListOut:
        before = _note_id(page.after) if page.after else None
        if page.after and before is None:
            return NoteListOut(notes=[])  # After a note that does not exist.
        notes = await self._notes.of(user_id, words=words, before=before, limit=page.limit + 1)
        shown = notes[: page.limit]
        return NoteListOut(
            notes=[_note_out(note) for note in shown],
            next=str(shown[-1].id) if shown != notes else None,
        )

    async def _add(self, request: Request, user_id: str) -> Note:
        key = _idempotency_key(request)
        text = (await read_body(request, NewNote)).text
        if key is None:
            return await self._notes.add(user_id, text, self._now())
        return await self._notes.add_once(user_id, text, key, self._now())


def _note_id(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= ID_LENGTH
    return int(text) if is_number else None


def _words(request: Request) -> list[str]:
    """Return the words that are searched for.

    Raises:
        BadRequest: There is too much to search for, or a character that no note has.
    """
    search = request.query_params.get("q", "")
    if len(search) > SEARCH_LENGTH or "\0" in search:
        raise BadRequest(f"q must be up to {SEARCH_LENGTH} characters, without NUL.")
    return search.split()


def _idempotency_key(request: Request) -> str | None:
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not 0 < len(keys[0]) <= KEY_LENGTH or not _is_printable(keys[0]):
        raise BadRequest("Idempotency-Key must be one value of 1 to 255 printable characters.")
    return keys[0]


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _note_out(note: Note) -> NoteOut:
    return NoteOut(
        id=str(note.id), text=note.text, created_at=iso(note.created_at), version=note.version
    )
