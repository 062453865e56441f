"""The server: everybody's notes, beside the page and the sessions of ``unexpired_server``.

``unexpired serve`` runs it. It keeps its data in ``data``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server import (
    NonEmptyStr,
    NotFound,
    RequestModel,
    ResponseModel,
    Service,
    Settings,
    build_app,
    json_response,
    no_content,
    read_body,
)

TABLE = """
CREATE TABLE IF NOT EXISTS notes (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, text TEXT NOT NULL, key TEXT, UNIQUE (owner, key)
)
"""
SHOWN = 500


def create_app(settings: Settings, *, now: Callable[[], float] | None = None) -> Starlette:
    """Build the application.

    Args:
        settings: The server's settings; flags of ``unexpired serve``, or the environment.
        now: The clock in Unix seconds, for tests; the database's when None.
    """
    service = Service(settings, now=now)
    name = "demo-notes.sqlite3" if settings.demo else "notes.sqlite3"
    notes = NotesRoutes(service, Notes(settings.keys_file.parent / name))
    return build_app(service, routes=notes.routes())


class NewNote(RequestModel):
    """A note to add."""

    text: NonEmptyStr = Field(max_length=4000)


class NoteOut(ResponseModel):
    """A note."""

    id: int
    text: str


class NotesOut(ResponseModel):
    """Notes, newest first."""

    notes: list[NoteOut]


class NotesRoutes:
    """The notes of whose access token a request has; without a valid one it raises a failure.

    Args:
        service: The sessions.
        notes: The notes.
    """

    def __init__(self, service: Service, notes: Notes) -> None:
        self._service = service
        self._notes = notes

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/notes", self.shown, methods=["GET"]),
            Route("/api/notes", self.add, methods=["POST"]),
            Route("/api/notes/{id:int}", self.delete, methods=["DELETE"]),
        ]

    async def shown(self, request: Request) -> Response:
        """Return the notes."""
        rows = await run_in_threadpool(self._notes.of, await self._owner(request))
        return json_response(NotesOut(notes=[NoteOut(**row) for row in rows]))

    async def add(self, request: Request) -> Response:
        """Add a note, and return it."""
        owner = await self._owner(request)
        text = (await read_body(request, NewNote)).text
        key = request.headers.get("idempotency-key")
        row = await run_in_threadpool(self._notes.add, owner, text, key)
        return json_response(NoteOut(**row), 201)

    async def delete(self, request: Request) -> Response:
        """Delete a note; another person's does not exist for this one."""
        owner = await self._owner(request)
        if not await run_in_threadpool(self._notes.delete, owner, request.path_params["id"]):
            raise NotFound
        return no_content()

    async def _owner(self, request: Request) -> str:
        return (await self._service.bearer.authenticate(request)).user_id


class Notes:
    """The notes, in a SQLite file.

    Args:
        path: The file, which is created if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows(TABLE)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """Return a person's notes, newest first."""
        query = "SELECT id, text FROM notes WHERE owner = ? ORDER BY id DESC LIMIT ?"
        return self._rows(query, owner, SHOWN)

    def add(self, owner: str, text: str, key: str | None) -> dict[str, Any]:
        """Add a note, once for each key: the client repeats a request whose response was lost."""
        (row,) = self._rows(
            "INSERT INTO notes (owner, text, key) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET key = key RETURNING id, text",
            *(owner, text, key),
        )
        return row

    def delete(self, owner: str, note_id: int) -> bool:
        """Delete a note of this person; return whether there was one."""
        query = "DELETE FROM notes WHERE owner = ? AND id = ? RETURNING id"
        return bool(self._rows(query, owner, note_id))

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]
