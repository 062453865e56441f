"""The chat: a WebSocket that sends its token first, and a new one whenever there is one."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import js
from pyodide.ffi import create_once_callable, create_proxy
from pyscript import document, when

from shopfront.page import client, errors_shown, find
from unexpired import NotSignedIn, SessionEnded, SessionExpired, Unreachable

ADDRESS = js.location.origin.replace("http", "ws", 1) + "/api/chat"
PAUSE = 1.0  # s


class Chat:
    """The connection to the chat, which is made again for as long as somebody is signed in."""

    def __init__(self) -> None:
        self._socket: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect."""
        self.stop()
        self._task = asyncio.ensure_future(self._stay_connected())

    def stop(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, message: object) -> None:
        """Send a message, if the connection is open."""
        if self._socket is not None and self._socket.readyState == js.WebSocket.OPEN:
            self._socket.send(json.dumps(message))

    async def renew(self) -> None:
        """Send the new token, so that the server keeps the connection open."""
        self.send({"token": await client.token()})

    async def _stay_connected(self) -> None:
        with suppress(NotSignedIn, SessionExpired, SessionEnded):
            while True:
                find("#chat-state").textContent = "connecting …"
                with suppress(Unreachable):
                    await self._connect()
                await asyncio.sleep(PAUSE)

    async def _connect(self) -> None:
        """Keep one connection until it is closed."""
        token, closed = await client.token(), asyncio.Event()
        socket = self._socket = js.WebSocket.new(ADDRESS)
        on_message = create_proxy(lambda event: self._show(json.loads(event.data)))
        socket.onopen = create_once_callable(lambda _event: self.send({"token": token}))
        socket.onmessage = on_message
        socket.onclose = create_once_callable(lambda _event: closed.set())
        try:
            await closed.wait()
        finally:
            socket.onmessage = None
            on_message.destroy()

    def _show(self, message: dict[str, Any]) -> None:
        if message.get("type") == "ready":
            find("#chat-state").textContent = "connected"
        elif "text" in message:
            item = document.createElement("li")
            item.textContent = f"{message['from']}: {message['text']}"
            find("#messages").append(item)


chat = Chat()


@when("submit", "#say")
async def say(event: Any) -> None:
    with errors_shown():
        chat.send({"text": event.target.elements.text.value})
        event.target.reset()
        event.target.elements.text.focus()
