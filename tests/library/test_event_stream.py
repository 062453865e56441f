"""Server-sent events by the HTML Standard, section 9.2, without a network."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired import BadReply, Headers, Request, Response, ServerSentEvent, Unreachable
from unexpired.event_stream import MAX_EVENT, EventParser, EventSource

ONCE = Request("GET", "https://api.example/feed")
STREAM = Response(200, Headers({"content-type": "text/event-stream; charset=utf-8"}))


def parse(*pieces: bytes, last_event_id: str = "") -> list[ServerSentEvent]:
    parser = EventParser(last_event_id)
    return [event for piece in pieces for event in parser.feed(piece)]


def datas(*pieces: bytes) -> list[str]:
    return [event.data for event in parse(*pieces)]


# -- The parser ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),  # The standard's examples.
        (
            b": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third",
            ["first", "second"],
        ),
        (b"data\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data:test\n\ndata: test\n\n", ["test", "test"]),
        (b"event: only\n\n", []),
        (b"\xef\xbb\xbfdata: after a BOM\n\n", ["after a BOM"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: two\n\ndata: good\n\n", ["good"]),
        (b"data: \xff\n\n", ["\ufffd"]),
        (b"data: a\x0bb\xc2\x85c\xe2\x80\xa8d\n\n", ["a\x0bb\x85c\u2028d"]),
        (b"unknown: x\ndata: y\nDATA: z\n\n", ["y"]),
        (b"data: a: b\n\n", ["a: b"]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_stream_is_parsed_by_the_standard(
    stream: bytes, expected: list[str], end: bytes, size: int
) -> None:
    """Whatever ends its lines, and wherever its pieces begin."""
    sent = stream.replace(b"\n", end)
    pieces = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert datas(*pieces) == expected


def test_an_event_has_a_type_and_the_last_id() -> None:
    """The id stays until the server sets another; a name that is empty is ``message``."""
    events = parse(b"event: add\ndata: 1\nid: 7\n\ndata: 2\n\nevent:\ndata: 3\nid\n\n")
    assert events == [
        ServerSentEvent("add", "1", "7"),
        ServerSentEvent("message", "2", "7"),
        ServerSentEvent("message", "3", ""),
    ]


def test_an_id_with_nul_is_ignored() -> None:
    assert [event.id for event in parse(b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n")] == ["1", "1"]


def test_an_event_without_data_sets_the_id_and_an_incomplete_one_does_not() -> None:
    parser = EventParser()
    assert list(parser.feed(b"id: 1\n\nid: 2\ndata: x\n")) == []
    assert parser.last_event_id == "1"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10", 10), ("007", 7), ("0", 0), ("1.5", None), ("-1", None), ("²", None), ("", None)],
)
def test_a_retry_time_is_of_digits_only(value: str, expected: int | None) -> None:
    (event,) = parse(f"retry: {value}\ndata: x\n\n".encode())
    assert event.retry == expected


def test_a_retry_time_of_many_digits_is_bounded() -> None:
    source = EventSource("", lambda: 0.0)
    source.connect(STREAM, 0)
    list(source.feed(b"retry: " + b"9" * 100_000 + b"\n\n"))
    assert source.next_delay() == 86_400


def test_an_event_ended_by_carriage_returns_does_not_wait_for_more() -> None:
    assert datas(b"data: x\r\r") == ["x"]
    assert datas(b"data: x\r", b"\n\r", b"\ndata: y\n\n") == ["x", "y"]


@pytest.mark.parametrize(
    "line", [b"data: x\n", b"data: xxxxxxx", b": a comment without an end", b"data\n"]
)
def test_an_event_that_does_not_end_is_refused(line: bytes) -> None:
    """What is not complete is bounded, whichever line it is in."""
    parser = EventParser()

    def feed_on() -> None:
        while True:
            list(parser.feed(line * 1000))

    with pytest.raises(BadReply, match="1 MiB"):
        feed_on()


def test_comments_that_keep_a_connection_alive_are_no_event() -> None:
    """Any number of them may arrive without an event."""
    parser = EventParser()
    for _ in range(3 * MAX_EVENT // 6000):
        assert list(parser.feed(b": ping\n" * 1000)) == []
    assert [event.data for event in parser.feed(b"data: x\n\n")] == ["x"]


@given(st.text(max_size=50), st.lists(st.integers(1, 9), max_size=60))
def test_json_survives_however_it_is_cut(text: str, sizes: list[int]) -> None:
    sent = b"data: " + json.dumps({"text": text}, ensure_ascii=False).encode("utf-8") + b"\n\n"
    pieces = []
    for size in [*sizes, len(sent)]:
        pieces.append(sent[:size])
        sent = sent[size:]
    (data,) = datas(*pieces)
    assert json.loads(data) == {"text": text}


# -- The connections -------------------------------------------------------------------------------


def test_a_connection_goes_on_after_the_last_id() -> None:
    """Its bytes are UTF-8, as the standard has it; ids that no header can hold are left out."""
    source = EventSource("5", lambda: 0.0)
    assert dict(source.request(ONCE).headers) == {
        "accept": "text/event-stream",
        "last-event-id": "5",
    }
    source.connect(STREAM, 0)
    list(source.feed("id: ü\ndata: x\n\n".encode()))
    assert source.request(ONCE).headers["last-event-id"].encode("latin-1") == "ü".encode()
    list(source.feed(b"id: \x01\ndata: x\n\n"))
    assert "last-event-id" not in source.request(ONCE).headers


@pytest.mark.parametrize(
    ("wrong", "error"), [(5, TypeError), ("a\nb", ValueError), ("\0", ValueError)]
)
def test_a_last_event_id_that_cannot_be_sent_is_refused(
    wrong: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match="last_event_id"):
        EventSource(wrong, lambda: 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_an_outage_is_unreachable_for_as_long_as_the_server_asks(status: int) -> None:
    with pytest.raises(Unreachable) as caught:
        EventSource("", lambda: 0.0).connect(Response(status, Headers({"retry-after": "7"})), 0)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "text/html"), (200, ""), (201, "text/event-stream"), (404, ""), (304, "")],
)
def test_anything_but_a_stream_of_events_is_refused(status: int, kind: str) -> None:
    head = Response(status, Headers({"content-type": kind}), b'{"code": "GONE"}')
    with pytest.raises(BadReply) as caught:
        EventSource("", lambda: 0.0).connect(head, 0)
    assert caught.value.status_code == status
    assert caught.value.code == ("GONE" if status == 404 else None)


def test_no_content_ends_the_stream() -> None:
    assert EventSource("", lambda: 0.0).connect(Response(204), 0) is False


def test_the_delay_is_the_servers_and_spreads_while_nothing_comes() -> None:
    """Three seconds at first; with each connection in vain the random part doubles, up to 30 s."""
    source = EventSource("", lambda: 1.0)
    assert [source.next_delay() for _ in range(7)] == [4.5, 6, 9, 15, 27, 33, 33]
    source.connect(STREAM, 0)
    list(source.feed(b"retry: 1000\n\n"))
    assert source.next_delay() == 1.5
    source.connect(STREAM, 0)
    assert source.next_delay() == 2  # The time that was set stays; this connection brought nothing.
