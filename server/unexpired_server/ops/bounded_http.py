"""HTTP/1.1 as we let it in: uvicorn on httptools, with a bound on a request's head."""

import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEADER_BYTES = 16 * 1024
"""A request's line and headers together; beyond, the answer is 400."""

SEPARATORS = len(": \r\n")
"""Around a name and a value; without them, empty headers would cost nothing."""

TOO_LARGE = "The request's headers are too large."
INVALID = "Invalid HTTP request received."


class BoundedHttpToolsProtocol(HttpToolsProtocol):
    """Parses with httptools, which is not in Python, where that can be trusted.

    It alone gathers a head without end. What is complete is counted as it comes, line by line.
    What is not yet a whole line, of a head, a chunk or a trailer, is with the parser: of that,
    the bytes are counted.

    And it takes the body of a request that offers another protocol, as Java's client does with
    its first, for the other protocol. Such a connection is left to h11.
    """

    _head = 0
    _pending = 0

    def data_received(self, data: bytes) -> None:
        """Parse, unless too much of it comes to nothing."""
        self._unset_keepalive_if_required()
        self._pending += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._leave_to_h11(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response(INVALID)
        else:
            if self._pending > HEADER_BYTES:
                self.send_400_response(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Count anew."""
        self._head = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the request's target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header or a trailer."""
        self._count(len(name) + len(value) + SEPARATORS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the application have the request."""
        self._pending = 0
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose size is the application's concern."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Be ready for the next request."""
        self._pending = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _count(self, size: int) -> None:
        self._pending = 0
        self._head += size
        if self._head > HEADER_BYTES:
            raise ValueError(TOO_LARGE)  # The parser stops.

    def _leave_to_h11(self, rest: bytes) -> None:
        """Have h11 read on, from the beginning of the request that was parsed last."""
        under_way: RequestResponseCycle | None = self.cycle
        if under_way and not under_way.response_complete:
            self.send_400_response(INVALID)  # Its answer might overtake the one under way.
            return
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers)
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        self.connections.discard(self)
        successor = H11Protocol(self.config, self.server_state, self.app_state)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, version)
        successor.data_received(line + fields + b"\r\n" + rest)
