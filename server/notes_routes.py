"""The notes of the person who asks."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.notes import Note, Notes
from unexpired_server.errors import BadRequest, NotFound
from unexpired_server.http.bearer import BearerAuthenticator
from unexpired_server.http.bodies import NewNote, read
from unexpired_server.http.responses import iso, json_response, no_content

KEY_LENGTH = 255
ID_LENGTH = 9


class NotesRoutes:
    """The example resource over HTTP.

    Args:
        notes: Keeps them.
        bearer: Authenticates requests.
        now: The clock, in Unix seconds.
    """

    def __init__(self, notes: Notes, bearer: BearerAuthenticator, now: Callable[[], float]) -> None:
        self._notes = notes
        self._bearer = bearer
        self._now = now

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/api/notes", self.collection, methods=["GET", "POST"]),
            Route("/api/notes/{id}", self.delete, methods=["DELETE"]),
        ]

    async def collection(self, request: Request) -> Response:
        """List the notes, or add one."""
        user_id = self._bearer.authenticate(request).user_id
        if request.method == "POST":
            return json_response(_shown(await self._add(request, user_id)), 201)
        return json_response({"notes": [_shown(note) for note in await self._notes.of(user_id)]})

    async def delete(self, request: Request) -> Response:
        """Delete a note; another person's is as unknown as one that never was."""
        user_id = self._bearer.authenticate(request).user_id
        note_id = request.path_params["id"]
        if not (note_id.isascii() and note_id.isdecimal() and len(note_id) <= ID_LENGTH):
            raise NotFound
        if not await self._notes.delete(user_id, int(note_id)):
            raise NotFound
        return no_content()

    async def _add(self, request: Request, user_id: str) -> Note:
        key = _idempotency_key(request)
        text = (await read(request, NewNote)).text
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


def _shown(note: Note) -> dict[str, object]:
    return {"id": str(note.id), "text": note.text, "createdAt": iso(note.created_at)}
