"""uvicorn's httptools protocol with a bound on the header section; httptools has none.

It overrides private parts of uvicorn, so the project file pins uvicorn to a minor version and
``tests/server/test_bounded_http.py`` fails when one of those parts moves.
"""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADER_BYTES = 16 * 1024
"""The request line and headers together; a larger header section gets 400."""

SEPARATORS = len(": \r\n")
"""Counted for each header, so that empty headers are bounded, too."""

TOO_LARGE = "The request's headers are too large."
INVALID = "Invalid HTTP request received."


class BoundedHttpToolsProtocol(HttpToolsProtocol):
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
        successor = H11Protocol(self.config, self.server_state, self.app_state)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, version)
        successor.data_received(line + fields + b"\r\n" + rest)
