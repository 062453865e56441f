"""The server over TLS, without which browsers keep no cookie, and a page of the tests."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from pathlib import Path
from typing import Self

import uvicorn
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.app import create_app
from tests.server.harness import HASHER, add_user
from tests.support import library_page
from tests.support.own_certificate import self_signed_certificate
from tests.support.server_process import PASSWORDS
from unexpired_server.settings import Settings

EMPTY = "/empty.html"
"""A page without a policy, as somebody else's may be."""

NAME = "__Host-unexpired"

# All that a script can read.
EVERYTHING = """async () => {
  const found = [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((done, failed) => {
      const opening = indexedDB.open(name);
      opening.onsuccess = (event) => done(event.target.result);
      opening.onerror = failed;
    });
    // PyScript's own database is imitated, and empty.
    for (const objects of Array.from(database?.objectStoreNames ?? [])) {
      const all = await new Promise((done) => {
        const reading = database.transaction(objects).objectStore(objects).getAll();
        reading.onsuccess = (event) => done(event.target.result);
      });
      found.push(JSON.stringify(all));
    }
    database?.close();
  }
  return found.join("\\n");
}"""

START_SECONDS = 60
POLL_SECONDS = 0.02


class SecureServer:
    """The server in a thread, at two addresses of one site, for a ``with`` block.

    Args:
        folder: Keeps its certificate and its data.

    Attributes:
        url: Where its page is.
        api: Its other address, on another port: another origin of the same site.
        ahead: Seconds that its clock is ahead, so that tokens expire when a test wants it.
        loses: Whether the response to the next refresh is lost on its way.
        attempts: The ids of the refreshes that it was asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.ahead = 0.0
        self.loses = False
        self.attempts: list[str] = []
        self._folder = folder
        self._sockets = [_listening() for _ in range(2)]
        self.url, self.api = (f"https://localhost:{it.getsockname()[1]}" for it in self._sockets)
        settings = Settings(
            database_url=f"sqlite+aiosqlite:///{folder}/data/test.sqlite3",
            keys_file=folder / "data" / "keys.json",
            cookies=True,
            cors_origins=(self.url,),
        )
        self._settings = settings
        self._app: ASGIApp = create_app(settings, now=self._now, hasher=HASHER)
        certificate = self_signed_certificate(folder)
        self._servers = [
            uvicorn.Server(
                uvicorn.Config(
                    self,
                    ssl_certfile=certificate,
                    lifespan="off" if number else "on",
                    log_level="error",
                )
            )
            for number in range(2)
        ]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        end = time.monotonic() + START_SECONDS
        while not all(one.started for one in self._servers):
            assert time.monotonic() < end, "the server did not start"
            time.sleep(POLL_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        for one in self._servers:
            one.should_exit = True
        self._thread.join()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the page of the tests, and else the application."""
        path = scope.get("path", "")
        if path.startswith("/library."):
            content, media_type = library_page.served(path)
            await Response(content, media_type=media_type)(scope, receive, send)
        elif path == EMPTY:
            await HTMLResponse("<!doctype html><title>Empty</title>")(scope, receive, send)
        elif path == "/api/refresh" and scope["method"] == "POST":
            await self._refresh(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refresh(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> Message:
            message = await receive()
            if body := message.get("body"):  # It is so short that it comes in one piece.
                self.attempts.append(json.loads(body)["attempt"])
            return message

        if self.loses:
            self.loses = False
            await self._app(scope, read, _lose)
            await PlainTextResponse("Bad Gateway", 502)(scope, receive, send)
        else:
            await self._app(scope, read, send)

    async def _serve(self) -> None:
        for name, password in PASSWORDS.items():
            await add_user(self._settings, name, password)
        pairs = zip(self._servers, self._sockets, strict=True)
        await asyncio.gather(*(one.serve(sockets=[at]) for one, at in pairs))

    def _now(self) -> float:
        return time.time() + self.ahead


async def _lose(_message: Message) -> None:
    pass


def _listening() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening
