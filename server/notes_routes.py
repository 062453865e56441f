"""The current user's notes."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.notes import Note, Notes
from unexpired_server import (
    BEARER_FAILURES,
    BODY_FAILURES,
    ID_PARAMETER,
    BadRequest,
    BearerAuthenticator,
    IdempotencyMismatch,
    NonEmptyStr,
    NotFound,
    Operation,
    RequestModel,
    ResponseModel,
    Unavailable,
    iso,
    json_response,
    no_content,
    read_body,
)

KEY_LENGTH = 255
ID_LENGTH = 9


class NewNote(RequestModel):
    """A note to add."""

    text: NonEmptyStr = Field(max_length=4000)


class NoteOut(ResponseModel):
    """A note."""

    id: str
    text: str
    created_at: str


class NoteListOut(ResponseModel):
    """The notes, newest first."""

    notes: list[NoteOut]


IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH, "pattern": "^[ -~]+$"},
}

OPERATIONS = (
    Operation("get", "/api/notes", "My notes", NoteListOut, (*BEARER_FAILURES, Unavailable)),
    Operation(
        "post", "/api/notes", "Add a note", NoteOut,
        (*BODY_FAILURES, *BEARER_FAILURES, IdempotencyMismatch, Unavailable), status=201,
        request=NewNote, parameters=(IDEMPOTENCY_KEY,),
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
            Route("/api/notes/{id}", self.delete, methods=["DELETE"]),
        ]

    async def collection(self, request: Request) -> Response:
        """List the notes, or add one."""
        user_id = self._bearer.authenticate(request).user_id
        if request.method == "POST":
            return json_response(_note_out(await self._add(request, user_id)), 201)
        notes = await self._notes.of(user_id)
        return json_response(NoteListOut(notes=[_note_out(note) for note in notes]))

    async def delete(self, request: Request) -> Response:
        """Delete a note; another user's does not exist for this one."""
        user_id = self._bearer.authenticate(request).user_id
        note_id = request.path_params["id"]
        if not (note_id.isascii() and note_id.isdecimal() and len(note_id) <= ID_LENGTH):
            raise NotFound
        if not await self._notes.delete(user_id, int(note_id)):
            raise NotFound
        return no_content()

    async def _add(self, request: Request, user_id: str) -> Note:
        key = _idempotency_key(request)
        text = (await read_body(request, NewNote)).text
        if key is None:
            return await self._notes.add(user_id, text, self._now())
        return await self._notes.add_once(user_id, text, key, self._now())


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
    return NoteOut(id=str(note.id), text=note.text, created_at=iso(note.created_at))
