"""A slow line to a server: what it sends arrives at a given pace."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_WR, create_connection, socket
from urllib.parse import urlsplit

CHUNK = 8192

Transmit = Callable[[int], None]


@contextmanager
def slow_line(server: str, bytes_a_second: int) -> Iterator[str]:
    """Forward connections to a server; yield the address to connect to instead.

    Args:
        server: The server's address.
        bytes_a_second: How much arrives from it at most, over all connections together.
    """
    upstream = urlsplit(server)
    transmit = _paced(bytes_a_second)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with create_connection((upstream.hostname, upstream.port)) as behind:
                threading.Thread(target=_pump, args=(self.request, behind), daemon=True).start()
                _pump(behind, self.request, transmit)

    class Line(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Line(("127.0.0.1", 0), Connection) as line:
        threading.Thread(target=line.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{line.server_address[1]}"
        line.shutdown()


def _paced(bytes_a_second: int) -> Transmit:
    """Return a function that returns once so many bytes more have had time to pass."""
    lock = threading.Lock()
    free_at = time.monotonic()

    def transmit(size: int) -> None:
        nonlocal free_at
        with lock:
            free_at = max(free_at, time.monotonic()) + size / bytes_a_second
            rest = free_at - time.monotonic()
        time.sleep(max(rest, 0))

    return transmit


def _pump(source: socket, target: socket, transmit: Transmit = lambda _: None) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            transmit(len(chunk))
            target.sendall(chunk)
        target.shutdown(SHUT_WR)
