"""Server-sent events: the parser, and when to connect again. Pure.

See the HTML Standard, section 9.2: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unexpired.backoff import MAX_DELAY, MIN_DELAY
from unexpired.errors import BadReply, Unreachable
from unexpired.messages import EVENT_STREAM, Request, Response
from unexpired.token_response import is_outage, parse_retry_after

MAX_EVENT = 1_048_576  # characters of an event that is not complete
RETRY_TIME = 3.0  # s, until the server sets another one
MAX_RETRY_TIME = 86_400.0  # s
MAX_RETRY_DIGITS = 12

OK = 200
NO_CONTENT = 204

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream of server-sent events.

    Attributes:
        event: Its type; ``message`` if the server names none.
        data: Its data; several lines are joined by line feeds.
        id: The last event id that the server has set; empty if it never did.
        retry: The time until a reconnection that the server set with this event, in milliseconds;
            None if it set none.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


class EventParser:
    """Parses one connection's stream (section 9.2.6).

    Args:
        last_event_id: The last event id so far.
    """

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id: str = last_event_id
        self.retry: int | None = None  # ms
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []  # The pieces of a line whose end has not arrived.
        self._ended_by_cr = False  # A line feed that comes next belongs to this end.
        self._line_size = 0
        self._start_event()

    def _start_event(self) -> None:
        self._event = ""
        self._data: list[str] = []
        self._data_size = 0
        self._id = self.last_event_id
        self._retry: int | None = None

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that are complete with this piece.

        Raises:
            BadReply: If an event is larger than 1 MiB.
        """
        text = self._decoder.decode(piece)
        if text and self._ended_by_cr:
            text, self._ended_by_cr = text.removeprefix("\n"), False
        start = 0
        for end in _LINE_END.finditer(text):
            if event := self._end_line(text[start : end.start()]):
                yield event
            start = end.end()
        self._ended_by_cr = text.endswith("\r")
        self._add(text[start:])

    def _add(self, text: str) -> None:
        self._line_size += len(text)
        if self._line_size + self._data_size > MAX_EVENT:
            raise BadReply("The server sent an event that is larger than 1 MiB.", status_code=OK)
        self._line.append(text)

    def _end_line(self, text: str) -> ServerSentEvent | None:
        self._add(text)
        line, self._line, self._line_size = "".join(self._line), [], 0
        if not line:
            return self._end_event()
        name, _, value = line.partition(":")
        self._take_field(name, value.removeprefix(" "))
        return None

    def _take_field(self, name: str, value: str) -> None:
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._data_size += len(value) + 1
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                digits = value.lstrip("0")[: MAX_RETRY_DIGITS + 1]
                self.retry = self._retry = int(digits or "0")

    def _end_event(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        event = ServerSentEvent(
            self._event or "message", "\n".join(self._data), self._id, self._retry
        )
        is_empty = not self._data
        self._start_event()
        return None if is_empty else event


class EventSource:
    """One stream of events over all its connections.

    Args:
        last_event_id: The id after which the stream goes on; empty for its beginning.
        jitter: Returns a random number from 0 to 1.

    Raises:
        TypeError: If the id is not a text.
        ValueError: If the id cannot be sent.
    """

    def __init__(self, last_event_id: str, jitter: Callable[[], float]) -> None:
        if not isinstance(last_event_id, str):
            raise TypeError("last_event_id is a text")
        if last_event_id and not _field_value(last_event_id):
            raise ValueError("last_event_id is one line, without control characters")
        self._jitter = jitter
        self._failures = 0
        self._retry_time = RETRY_TIME
        self._parser = EventParser(last_event_id)

    def request(self, request: Request) -> Request:
        """Return the request for the next connection (section 9.2.3).

        Args:
            request: The request without the stream's own header fields.
        """
        request = request.with_header("accept", EVENT_STREAM)
        last = _field_value(self._parser.last_event_id)
        return request.with_header("last-event-id", last) if last else request

    def connect(self, head: Response, now: float) -> bool:
        """Begin to parse a connection's stream; return whether there is one.

        Args:
            head: The response; of an error, with its body.
            now: Unix seconds.

        Raises:
            Unreachable: If the server asks to try again later.
            BadReply: If the response is no stream of events.
        """
        if is_outage(head.status_code):
            raise Unreachable(retry_after=parse_retry_after(head, now))
        head.raise_for_status()
        if head.status_code == NO_CONTENT:
            return False
        kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        if head.status_code != OK or kind != EVENT_STREAM:
            message = "The server's response is not a stream of events."
            raise BadReply(message, status_code=head.status_code)
        self._parser = EventParser(self._parser.last_event_id)
        return True

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that are complete with this piece; see ``EventParser.feed``."""
        self._failures = 0
        yield from self._parser.feed(piece)

    def next_delay(self) -> float:
        """Return the seconds until the next connection, when one has ended or failed.

        They are at least the stream's own retry time. What is random keeps a thousand pages that
        lost the same server apart; it grows with each connection that brought nothing.
        """
        if self._parser.retry is not None:
            self._retry_time = min(self._parser.retry / 1000, MAX_RETRY_TIME)
        shortest = max(self._retry_time, MIN_DELAY)
        spread = min(shortest * 2.0 ** min(self._failures, 16) / 2, MAX_DELAY)
        self._failures += 1
        return shortest + spread * self._jitter()


def _field_value(last_event_id: str) -> str:
    """Return an id as the value of a header field, which holds its bytes in UTF-8.

    Empty if it cannot be sent: no header field has a control character (RFC 9110, section 5.5).
    """
    if any(ord(character) < ord(" ") or character == "\x7f" for character in last_event_id):
        return ""
    return last_event_id.encode(errors="ignore").decode("latin-1")
