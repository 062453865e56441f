"""The application, called without a network: a request in, a response out."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.applications import Starlette

from server.app import with_notes
from server.in_page.hasher import PBKDF2Hasher
from server.in_page.p256 import proof_key
from unexpired_server import Service, Settings
from unexpired_server.storage.inline import open_file

ADDRESS = ("127.0.0.1", 0)
"""What the server sees of every client: they are in this browser."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Args:
        app: The application.
        database: Its SQLite file.
        lifespan: Keeps it running.
    """

    app: Starlette
    database: Path
    lifespan: AsyncExitStack

    async def respond(
        self, method: str, url: str, headers: Sequence[Sequence[str]], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return the status, the headers and the body of a response.

        Args:
            method: The request's method.
            url: Its URL, of which path and query count.
            headers: Names and values.
            body: Its body.
        """
        scope = _scope(method, url, headers)
        sent: list[dict[str, Any]] = []
        received = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

        async def receive() -> dict[str, Any]:
            return next(received, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        fields = [(_decoded(name), _decoded(value)) for name, value in start["headers"]]
        return start["status"], fields, b"".join(part.get("body", b"") for part in rest)

    async def stop(self) -> None:
        """Stop it."""
        await self.lifespan.aclose()

    def content(self) -> bytes:
        """Return the database as it is now, to be kept."""
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.serialize()


async def start(database: Path, content: bytes, empty: bytes, secret: str) -> Server:
    """Start a server in demo mode, for as long as its worker lives.

    Args:
        database: Where the SQLite file shall be.
        content: What was in it last. It is given up when it is damaged, or when its tables are not
            those of ``empty``.
        empty: A database with this version's tables, and nothing else.
        secret: What the server signs with.
    """
    _write_private(database, empty)
    tables = _revision(database)
    _write_private(database, content)
    if _revision(database) != tables:
        _write_private(database, empty)
    settings = Settings(demo=True, secret=secret, database_url=f"sqlite:///{database}")
    service = Service(settings, hasher=PBKDF2Hasher(), open_file=open_file, proof_key=proof_key)
    app = with_notes(service)
    lifespan = AsyncExitStack()
    await lifespan.enter_async_context(service.running())
    return Server(app, database, lifespan)


def _write_private(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)


def _revision(path: Path) -> str | None:
    """Return which tables a database has; None if any of it is damaged."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        found: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        if connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]:
            return found
    return None


def _scope(method: str, url: str, headers: Sequence[Sequence[str]]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode("ascii"),
        "root_path": "",
        "query_string": parts.query.encode("ascii"),
        "headers": [
            (b"host", parts.netloc.encode("ascii")),
            *((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers),
        ],
        "client": ADDRESS,
        "server": (parts.hostname, parts.port),
    }


def _decoded(text: bytes) -> str:
    return text.decode("latin-1")
