"""A TCP proxy between a node and its database, which can be cut or stop moving."""

import asyncio
from contextlib import suppress

from sqlalchemy.engine import make_url


class Proxy:
    """Passes bytes on to a database, until it is told otherwise.

    Args:
        url: The database's address.
    """

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """The database's address through this proxy."""
        ours = self._target.set(host="127.0.0.1", port=self._port)
        return ours.render_as_string(hide_password=False)

    async def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def pause(self) -> None:
        """Keep every connection, and move nothing."""
        self._flowing.clear()

    def resume(self) -> None:
        """Move what was held back, and all that follows."""
        self._flowing.set()

    def cut(self) -> None:
        """Be gone, as a database that restarts is."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self._target.host or "127.0.0.1", self._target.port or 5432
        there_reader, there_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            while chunk := await reader.read(65536):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()
