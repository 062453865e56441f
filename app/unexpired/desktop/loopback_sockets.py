"""The sockets of a program's loopback address: binding it, and reading what browsers send to it."""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Self

IPV4, IPV6, LOCALHOST = "127.0.0.1", "[::1]", "localhost"

BACKLOG = 16
PORT_ATTEMPTS = 8
CHUNK = 16_384  # bytes
MAX_HEAD = 65_536  # bytes. A code may be long: some providers put claims into it.
MAX_CONNECTIONS = 64
SEND_TIMEOUT = 1.0  # s
END_OF_HEAD = b"\r\n\r\n"


def listen(host: str, port: int) -> tuple[str, list[socket.socket]]:
    """Return the host of a loopback address, and the sockets that listen there from now on.

    Args:
        host: ``127.0.0.1``, ``[::1]`` or ``localhost``; empty for the first that exists.
        port: The port; 0 for a free one.

    Raises:
        ValueError: If the host or the port is another one.
        OSError: If the address cannot be used.
    """
    if host not in {"", IPV4, IPV6, LOCALHOST}:
        raise ValueError("host is 127.0.0.1, [::1] or localhost")
    if not 0 <= port <= 65_535:  # noqa: PLR2004 - the last port
        raise ValueError("port is a whole number up to 65535")
    if host == LOCALHOST:
        return host, _listeners_of_localhost(port)
    if host:
        return host, [_listener(host, port)]
    try:
        return IPV4, [_listener(IPV4, port)]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise
        return IPV6, [_listener(IPV6, port)]


def _listeners_of_localhost(port: int) -> list[socket.socket]:
    """Return sockets at the same port of both addresses that ``localhost`` may stand for.

    Otherwise another program could take the second one, to which the browser may go first.
    """
    for _ in range(PORT_ATTEMPTS):
        first = _listener(IPV4, port)
        try:
            return [first, _listener(IPV6, first.getsockname()[1])]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]  # This machine has no IPv6.
            first.close()
    raise OSError(errno.EADDRINUSE, "no port is free in IPv4 and in IPv6")


def _listener(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if host == IPV6 else socket.AF_INET)
    try:
        if sys.platform == "win32":  # There, SO_REUSEADDR would share the port with any program.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        elif port:  # The connections of the sign-in before linger at this port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener


class Connections:
    """The connections to some listening sockets, for a ``with`` block.

    None keeps another from being served: a browser opens connections ahead and sends nothing by
    most of them. When there are too many, the oldest is closed.

    Args:
        listeners: The listening sockets.
        wakes: A socket that ends the wait when it can be read.
    """

    def __init__(self, listeners: list[socket.socket], wakes: socket.socket) -> None:
        self._listeners = listeners
        self._received: dict[socket.socket, bytes] = {}
        self._selector = DefaultSelector()
        for each in (*listeners, wakes):
            self._selector.register(each, EVENT_READ, each)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for connection in [*self._received]:
            self._drop(connection)
        self._selector.close()

    def wait(self, seconds: float) -> list[tuple[socket.socket, bytes]]:
        """Wait until something arrives; return the connections whose request has a whole head.

        Args:
            seconds: The longest wait.
        """
        complete = []
        for key, _ in self._selector.select(seconds):
            if key.data in self._listeners:
                self._accept(key.data)
            elif key.data in self._received and (head := self._head(key.data)) is not None:
                complete.append((key.data, head))
        return complete

    def finish(self, connection: socket.socket, content: bytes) -> None:
        """Send a response, which fits into the system's buffer, and close the connection."""
        with suppress(OSError):  # The browser has left.
            connection.settimeout(SEND_TIMEOUT)
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        self._drop(connection)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # The browser has left.
            connection, _ = listener.accept()
            connection.settimeout(0)
            self._received[connection] = b""
            self._selector.register(connection, EVENT_READ, connection)
        if len(self._received) > MAX_CONNECTIONS:
            self._drop(next(iter(self._received)))

    def _head(self, connection: socket.socket) -> bytes | None:
        """Return the request's head if all of it has arrived."""
        try:
            piece = connection.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            piece = b""
        received = self._received[connection] + piece
        self._received[connection] = received
        head, end, _ = received.partition(END_OF_HEAD)
        if end:
            return head
        # What starts otherwise is TLS: a browser that prefers it uses http once this has failed.
        if not piece or len(received) > MAX_HEAD or not received[:1].isalpha():
            self._drop(connection)
        return None

    def _drop(self, connection: socket.socket) -> None:
        if self._received.pop(connection, None) is not None:
            self._selector.unregister(connection)
            connection.close()
