"""HTTP/1.1 by hand: one connection that stays open, from an address of its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from tests.cluster.processes import LOOPBACK

SECONDS = 12.0
"""How long a response may take; longer than the proxy waits for a database that is away."""


@dataclass(frozen=True)
class Response:
    """A response; the body is what its JSON says, or an empty object."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def code(self) -> str:
        """The error code, if it has one."""
        return str(self.body.get("code", ""))

    @property
    def retry_after(self) -> float:
        """The seconds that the server asks to wait, or 0."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdecimal() else 0.0


class Failed(Exception):  # noqa: N818 - an outcome, no error of the harness
    """There was no whole response.

    Attributes:
        how: Whether the connection ended, or the time was up.
    """

    def __init__(self, how: Literal["reset", "timeout"]) -> None:
        super().__init__(how)
        self.how = how


class Connection:
    """A connection to one port, opened when it is needed.

    Args:
        port: The port, on loopback.
        source: The address that it comes from; each client has its own, for the rate limits.
    """

    def __init__(self, port: int, source: str = LOOPBACK) -> None:
        self._port = port
        self._source = source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> Response:
        """Send a request; return its response.

        Raises:
            Failed: There was none.
        """
        try:
            async with asyncio.timeout(SECONDS):
                return await self._exchange(_request(method, path, body, token))
        except TimeoutError:
            self.close()
            raise Failed("timeout") from None
        except (OSError, EOFError, ValueError):
            self.close()
            raise Failed("reset") from None
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams:
            with suppress(OSError):
                self._streams[1].transport.abort()
        self._streams = None

    async def _exchange(self, request: bytes) -> Response:
        if self._streams and self._streams[0].at_eof():
            self.close()  # The proxy has closed it meanwhile, for nothing was sent on it.
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                LOOPBACK, self._port, local_addr=(self._source, 0)
            )
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Response(int(head[0].split()[1]), headers, _json(content))


async def ask_once(
    port: int, method: str, path: str, body: object = None, token: str | None = None
) -> Response:
    """Send a request on a connection of its own; so each may reach another worker.

    Raises:
        Failed: There was no response.
    """
    connection = Connection(port)
    try:
        return await connection.ask(method, path, body, token)
    finally:
        connection.close()


def _request(method: str, path: str, body: object, token: str | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: cluster.test", f"Content-Length: {len(content)}"]
    if content:
        lines.append("Content-Type: application/json")
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join((*lines, "", "")).encode() + content


def _json(content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
