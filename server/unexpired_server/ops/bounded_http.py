"""uvicorn's protocols with bounds on the header section and on time; uvicorn has none.

It overrides private parts of uvicorn, so the project file pins uvicorn to a minor version and
``tests/server/test_bounded_http.py`` fails when one of those parts moves.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADER_BYTES = 16 * 1024
"""The request line and headers together; a larger header section gets 400."""

SEPARATORS = len(": \r\n")
"""Counted for each header, so that empty headers are bounded, too."""

HEAD_SECONDS = 10.0
"""How long a connection may take to send a header section, from its start or its first byte."""

STALL_SECONDS = 60.0
"""How long a client may read nothing of a response. On a slow network the kernel's buffer takes
half a minute to empty."""

TOO_LARGE = "The request's headers are too large."
INVALID = "Invalid HTTP request received."


class BoundedProtocol(asyncio.Protocol):
    """A connection that does not keep the server waiting; mixed into uvicorn's protocols.

    The server calls ``close_if_overdue`` every second, which costs less than a timer for each
    request. The time between two requests is bounded by uvicorn, the time of a body by the
    application, until its response; what follows then counts as part of the next header section.
    """

    transport: asyncio.Transport
    cycle: Any  # Either protocol's own class; None before the first request.

    _is_new = True
    _idle_since = 0.0
    _head_since: float | None = None
    _buffered = 0
    _stalled_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._idle_since = self._head_since = time.monotonic()

    def data_received(self, data: bytes) -> None:
        """Parse, and note whether this is part of a header section that is not complete."""
        super().data_received(data)
        self.note_progress()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()  # type: ignore[misc]
        self._is_new = False
        self._idle_since = time.monotonic()

    def note_progress(self) -> None:
        """Note whether the server waits for the rest of a header section."""
        if self.is_busy:
            self._head_since = None
        elif self._head_since is None:
            self._head_since = time.monotonic()

    @property
    def is_busy(self) -> bool:
        """Whether a request has arrived and its response is not complete."""
        return bool(self.cycle) and not self.cycle.response_complete

    @property
    def idleness(self) -> tuple[bool, float]:
        """The order in which idle connections are closed: those that never sent a request first."""
        return not self._is_new, self._idle_since

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if the client is too slow.

        Args:
            now: The monotonic clock, in seconds.
        """
        size = self.transport.get_write_buffer_size()
        if not size or size != self._buffered:
            self._buffered, self._stalled_since = size, now
        elif now - self._stalled_since >= STALL_SECONDS:
            self.transport.abort()
        since = self._head_since
        if since is not None and not self.is_busy and now - since >= HEAD_SECONDS:
            self.transport.close()

    def make_room(self) -> None:
        """Close the connection, which is idle; a second time, without what is left to send."""
        if self.transport.is_closing():
            self.transport.abort()
        self.transport.close()


class BoundedH11Protocol(BoundedProtocol, H11Protocol):
    """uvicorn's h11 protocol, for connections that httptools cannot serve."""


class BoundedHttpToolsProtocol(BoundedProtocol, HttpToolsProtocol):
    """Parses with httptools, which is much faster than h11, and limits what it buffers.

    Complete header lines are counted as they arrive. Bytes of an incomplete line (of a header
    section, a chunk or a trailer) are in the parser, so all bytes since the last event count.

    httptools treats the body of a request that offers an upgrade, as Java's client does in its
    first request, as the other protocol. Such a connection is handed to h11.
    """

    _head_size = 0
    _unparsed = 0

    def data_received(self, data: bytes) -> None:
        """Parse; refuse too many bytes that complete nothing."""
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._hand_to_h11(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response(INVALID)
        else:
            if self._unparsed > HEADER_BYTES:
                self.send_400_response(TOO_LARGE)
            self.note_progress()

    def on_message_begin(self) -> None:
        """Start counting for a new request."""
        self._head_size = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a part of the request target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or a trailer."""
        self._count(len(name) + len(value) + SEPARATORS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the application."""
        self._unparsed = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body; the application limits its size."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Prepare for the next request."""
        self._unparsed = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _count(self, size: int) -> None:
        self._unparsed = 0
        self._head_size += size
        if self._head_size > HEADER_BYTES:
            raise ValueError(TOO_LARGE)  # Stops the parser.

    def _hand_to_h11(self, rest: bytes) -> None:
        """Hand the connection to h11, which reads the last request again from its start."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle and not cycle.response_complete:
            self.send_400_response(INVALID)  # Its response could overtake the pending one.
            return
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers)
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.connections.discard(self)
        successor = BoundedH11Protocol(self.config, self.server_state, self.app_state)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, version)
        successor.data_received(line + fields + b"\r\n" + rest)
