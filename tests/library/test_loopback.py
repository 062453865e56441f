"""Signing in from a program: a loopback address that only the expected request can answer."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import re
import signal
import socket
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from hashlib import sha256
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unexpired.desktop import loopback_sockets
from unexpired.desktop.loopback import Loopback, SyncLoopback
from unexpired.desktop.loopback_page import answer, preferred_language
from unexpired.desktop.loopback_sockets import MAX_CONNECTIONS, MAX_HEAD
from unexpired.errors import SignInFailed

STATE = "ux1.state-of-this-sign-in"
GOOD = f"?code=abc&state={STATE}"
PROVIDER = f"https://login.example/authorize?client_id=notes&state={STATE}"
OWN = "http://127.0.0.1:8400/callback"
DEADLINE = 10.0  # s. Only a broken test takes it.

Browse = Callable[[str], object]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    threads = [each for each in threading.enumerate() if each.name == "unexpired-sign-in"]
    for thread in threads:
        thread.join(DEADLINE)
    assert not any(thread.is_alive() for thread in threads)


class Browsed(SyncLoopback):
    """A window whose visit also waits until the browser has read the page."""

    has_read: threading.Event

    def visit(self, url: str) -> str:
        came = super().visit(url)
        assert self.has_read.wait(DEADLINE)
        return came


def sync_window(browse: Browse, redirect_uri: str = "/", **options: object) -> SyncLoopback:
    """Return a window whose browser is a function that is given the window's address."""

    def open_browser(_: str) -> bool:
        browse(window.redirect_uri)
        window.has_read.set()
        return True

    options = {"timeout": DEADLINE, **options}
    window = Browsed.of(redirect_uri, open_browser=open_browser, **options)
    window.has_read = threading.Event()
    return window


def request(  # noqa: PLR0913, PLR0917 - what tests vary
    uri: str,
    target: str = "",
    method: str = "GET",
    body: bytes | None = None,
    host: str = "",
    language: str = "en",
) -> tuple[HTTPResponse, str]:
    """Send a request to the window's address; return the response and its body."""
    parts = urlsplit(uri)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=DEADLINE)
    with closing(connection):
        headers = {"Host": host or parts.netloc, "Accept-Language": language}
        path = target if target.startswith("/") else f"{parts.path or '/'}{target}"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read().decode()


def connect(uri: str) -> socket.socket:
    parts = urlsplit(uri)
    return socket.create_connection((parts.hostname, parts.port or 0), DEADLINE)


def raw(uri: str, content: bytes) -> bytes:
    """Send bytes; return all that comes back until the other side closes the connection."""
    with connect(uri) as connection:
        received = b""
        try:
            connection.sendall(content)
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionError:  # It was closed before all was read.
            pass
        return received


def is_free(uri: str) -> bool:
    """Return whether nothing listens at an address."""
    parts = urlsplit(uri)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == errno.ECONNREFUSED


def test_the_url_that_the_provider_sent_the_browser_to_is_returned() -> None:
    pages = []
    window = sync_window(lambda uri: pages.append(request(uri, GOOD)))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", window.redirect_uri)
    assert window.visit(PROVIDER) == f"{window.redirect_uri}{GOOD}"
    [(response, page)] = pages
    assert response.status == 200
    assert "<h1>You are signed in</h1>" in page
    assert is_free(window.redirect_uri)


async def test_the_window_that_awaits_does_the_same() -> None:
    opened = []

    def open_browser(url: str) -> bool:
        opened.append(url)
        return request(window.redirect_uri, GOOD)[0].status == 200

    window = Loopback(open_browser=open_browser, timeout=DEADLINE)
    async with asyncio.timeout(DEADLINE):
        assert await window.visit(PROVIDER) == f"{window.redirect_uri}{GOOD}"
    assert opened == [PROVIDER]
    assert is_free(window.redirect_uri)


def test_an_error_of_the_provider_ends_the_wait_too_and_the_page_says_so() -> None:
    pages = []
    refused = f"?error=access_denied&state={STATE}"
    window = sync_window(lambda uri: pages.append(request(uri, refused)))
    assert window.visit(PROVIDER) == f"{window.redirect_uri}{refused}"
    assert "<h1>Signing in did not work</h1>" in pages[0][1]
    assert "You are signed in" not in pages[0][1]


def test_only_the_expected_request_ends_the_wait() -> None:
    """Any web page can make the browser send a request; the sign-in goes on (RFC 8252, 8.3)."""
    statuses: list[int] = []

    def browse(uri: str) -> None:
        port = urlsplit(uri).port
        targets = (
            "/favicon.ico",
            f"/{GOOD}",
            f"/callback/{GOOD}",
            f"/CALLBACK{GOOD}",
            "",
            "?code=abc",
            "?code=abc&state=",
            "?code=abc&state=other",
            f"?code=abc&state={STATE}x",
            f"?error=access_denied&state={STATE[:-1]}",
            f"?code=abc&state={STATE}&state=other",
        )
        statuses.extend(request(uri, target)[0].status for target in targets)
        statuses.extend(
            request(uri, GOOD, method=method)[0].status
            for method in ("POST", "HEAD", "PUT", "OPTIONS")
        )
        statuses.append(request(uri, "", method="POST", body=GOOD[1:].encode())[0].status)
        statuses.extend(
            request(uri, GOOD, host=host)[0].status
            for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"localhost:{port}")
        )
        request(uri, "?code=right&state=" + STATE)

    window = sync_window(browse)
    assert window.visit(PROVIDER).startswith(f"{window.redirect_uri}?code=right&")
    assert statuses == [404] * 4 + [400] * 7 + [405] * 5 + [421] * 4


def test_a_request_that_is_not_expected_gets_a_page_that_does_not_say_signed_in() -> None:
    pages = []

    def browse(uri: str) -> None:
        pages.append(request(uri, "?code=abc&state=other"))
        pages.append(request(uri, "?code=abc&state=other", language="de"))
        request(uri, GOOD)

    sync_window(browse).visit(PROVIDER)
    assert "<h1>The program does not expect this sign-in</h1>" in pages[0][1]
    assert "<h1>Das Programm erwartet diese Anmeldung nicht</h1>" in pages[1][1]


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS: a browser tries it first.
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        f"GET /callback{GOOD} HTTP/1.1\r\n\r\n".encode(),  # Without Host.
        f"GET /callback{GOOD} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".encode(),
        f"GET /callback{GOOD} HTTP/2.0\r\nHost: a\r\n\r\n".encode(),
        f"GET http://127.0.0.1/callback{GOOD} HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        b"A" * (MAX_HEAD + 1),
    ],
)
def test_what_no_browser_sends_is_refused_and_the_wait_goes_on(content: bytes) -> None:
    received = []

    def browse(uri: str) -> None:
        received.append(raw(uri, content))
        request(uri, GOOD)

    sync_window(browse).visit(PROVIDER)
    assert received[0] == b"" or received[0].startswith(b"HTTP/1.1 400 ")


def test_connections_that_send_nothing_keep_nobody_waiting() -> None:
    """A browser opens connections ahead; each would block a server that reads one at a time."""
    with ExitStack() as opened:

        def browse(uri: str) -> None:
            idle = [opened.enter_context(connect(uri)) for _ in range(MAX_CONNECTIONS + 1)]
            ends.append(idle[0].recv(1))  # The oldest is closed, so that they do not add up.
            slow = opened.enter_context(connect(uri))
            slow.sendall(b"GET /callback")
            request(uri, GOOD)

        ends: list[bytes] = []
        assert sync_window(browse).visit(PROVIDER).endswith(GOOD)
        assert ends == [b""]


def test_a_request_that_arrives_in_pieces_is_read() -> None:
    received = []

    def browse(uri: str) -> None:
        head = f"GET /callback{GOOD} HTTP/1.1\r\nHost: {urlsplit(uri).netloc}\r\n\r\n".encode()
        with connect(uri) as connection:
            for piece in (head[:9], head[9:-3], head[-3:]):
                connection.sendall(piece)
                if piece != head[-3:]:
                    request(uri, "/favicon.ico")  # When this is answered, the piece was read.
            received.append(connection.recv(65_536))

    assert sync_window(browse).visit(PROVIDER).endswith(GOOD)
    assert received[0].startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_page_runs_no_script_and_leaks_no_code() -> None:
    pages = []
    sync_window(lambda uri: pages.append(request(uri, GOOD))).visit(PROVIDER)
    [(response, page)] = pages
    style = re.search("<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert f"style-src 'sha256-{digest}'" in policy
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in page
    assert "src=" not in page
    assert "href=" not in page
    assert "abc" not in page
    assert STATE not in page


def test_the_page_is_german_for_those_who_prefer_it() -> None:
    pages = []
    window = sync_window(lambda uri: pages.append(request(uri, GOOD, language="de-AT,en;q=0.8")))
    window.visit(PROVIDER)
    assert '<html lang="de">' in pages[0][1]
    assert "Sie können dieses Fenster schließen" in pages[0][1]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("fr, de;q=0.5", "de"),
        ("en, de", "en"),
        ("de;q=0.9, en;q=0.8", "de"),
        ("en-GB;q=0.9,de-CH;q=1.0", "de"),
        ("*", "en"),
        ("den, deutsch", "en"),
        ("de;q=1.0.0, en;q=0.1", "en"),
        ("de;q=0", "en"),
    ],
)
def test_the_language_is_the_one_with_the_greater_weight(accepted: str, language: str) -> None:
    assert preferred_language(accepted) == language


@given(st.binary())
def test_no_bytes_end_the_wait_but_the_expected_request(head: bytes) -> None:
    response = answer(head, redirect_uri=OWN, state=STATE)
    assert response.url is None
    assert response.content.startswith(b"HTTP/1.1 4")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_query_ends_the_wait_but_one_with_the_state(query: str) -> None:
    head = f"GET /callback?{query} HTTP/1.1\r\nHost: 127.0.0.1:8400".encode()
    assert answer(head, redirect_uri=OWN, state=STATE).url is None


def test_a_person_who_does_not_come_back_in_time() -> None:
    window = sync_window(lambda _: None, timeout=0.05)
    with pytest.raises(SignInFailed) as failed:
        window.visit(PROVIDER)
    assert failed.value.code == "SIGN_IN_TIMED_OUT"
    assert is_free(window.redirect_uri)


def test_requests_that_are_not_expected_do_not_lengthen_the_wait() -> None:
    is_over = threading.Event()

    def browse(uri: str) -> None:
        while not is_over.is_set():
            try:
                request(uri, "/favicon.ico")
            except OSError:
                return

    window = sync_window(browse, timeout=0.2)
    try:
        with pytest.raises(SignInFailed, match="too long"):
            window.visit(PROVIDER)
    finally:
        is_over.set()


def test_close_ends_the_wait_at_once() -> None:
    window = sync_window(lambda _: window.close())
    with pytest.raises(SignInFailed) as failed:
        window.visit(PROVIDER)
    assert failed.value.code == "ABANDONED"
    assert is_free(window.redirect_uri)
    window.close()


async def test_close_ends_the_wait_that_is_awaited() -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    window = Loopback(open_browser=lambda _: bool(loop.call_soon_threadsafe(begun.set)))
    visit = asyncio.create_task(window.visit(PROVIDER))
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
        window.close()
        with pytest.raises(SignInFailed) as failed:
            await visit
    assert failed.value.code == "ABANDONED"


async def test_cancelling_frees_the_port() -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    window = Loopback(open_browser=lambda _: bool(loop.call_soon_threadsafe(begun.set)) or True)
    visit = asyncio.create_task(window.visit(PROVIDER))
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
        visit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visit
    assert is_free(window.redirect_uri)


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl+C interrupts, also where the tests were started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill() would end the process there")
@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_of_the_keyboard_frees_the_port() -> None:
    window = sync_window(lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        window.visit(PROVIDER)
    assert is_free(window.redirect_uri)


def test_a_window_is_for_one_visit() -> None:
    window = sync_window(lambda uri: request(uri, GOOD))
    window.visit(PROVIDER)
    with pytest.raises(SignInFailed):
        window.visit(PROVIDER)


def test_a_window_that_is_never_used_frees_its_port_when_it_is_closed() -> None:
    with closing(SyncLoopback()) as window:
        assert not is_free(window.redirect_uri)
    assert is_free(window.redirect_uri)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example/authorize",
        f"{PROVIDER}&state=other",
        f"file:///etc/passwd?state={STATE}",
        f"javascript:alert(1)?state={STATE}",
        f"--new-window?state={STATE}",
        f"https://login.example\\@evil.example/?state={STATE}",
    ],
)
def test_only_a_provider_s_address_is_opened(url: str) -> None:
    opened: list[str] = []
    window = sync_window(opened.append)
    with pytest.raises(ValueError, match="url is the provider's address"):
        window.visit(url)
    assert opened == []
    assert is_free(window.redirect_uri)


async def test_several_sign_ins_at_once_have_their_own_ports() -> None:
    all_have_tried = threading.Barrier(3, timeout=DEADLINE)
    refused: list[int] = []

    def window_for(name: str) -> Loopback:
        def open_browser(url: str) -> bool:
            query = f"?code={name}&state={urlsplit(url).query.removeprefix('state=')}"
            others = [each for each in windows if each is not window]
            refused.extend(request(each.redirect_uri, query)[0].status for each in others)
            all_have_tried.wait()
            return request(window.redirect_uri, query)[0].status == 200

        window = Loopback(open_browser=open_browser, timeout=DEADLINE)
        return window

    windows = [window_for(name) for name in "abc"]
    visits = (
        w.visit(f"https://login.example/?state=state-{n}")
        for n, w in zip("abc", windows, strict=True)
    )
    async with asyncio.timeout(DEADLINE):
        answers = await asyncio.gather(*visits)
    assert refused == [400] * 6
    assert answers == [
        f"{w.redirect_uri}?code={n}&state=state-{n}" for n, w in zip("abc", windows, strict=True)
    ]


@pytest.mark.parametrize(
    ("redirect_uri", "expected"),
    [
        ("/", r"http://127\.0\.0\.1:\d+/callback"),
        ("/signed/in", r"http://127\.0\.0\.1:\d+/signed/in"),
        ("http://127.0.0.1/", r"http://127\.0\.0\.1:\d+/"),
        ("http://localhost", r"http://localhost:\d+"),
        ("http://localhost/callback", r"http://localhost:\d+/callback"),
    ],
)
def test_the_address_is_the_one_that_the_provider_knows(redirect_uri: str, expected: str) -> None:
    window = sync_window(lambda uri: request(uri, GOOD), redirect_uri)
    assert re.fullmatch(expected, window.redirect_uri)
    assert window.visit(PROVIDER) == f"{window.redirect_uri}{GOOD}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_the_provider_knows_is_used_exactly_and_again(host: str) -> None:
    with closing(SyncLoopback.of(f"http://{host}/callback")) as before:
        exact = before.redirect_uri
    for _ in range(2):  # The connections of the first sign-in linger.
        window = sync_window(lambda uri: request(uri, GOOD), exact)
        assert window.redirect_uri == exact
        window.visit(PROVIDER)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_is_taken_is_not_shared(host: str) -> None:
    with closing(SyncLoopback()) as other:
        taken = other.redirect_uri.replace("127.0.0.1", host)
        with pytest.raises(SignInFailed) as failed:
            SyncLoopback.of(taken)
        assert failed.value.code == "NO_LOOPBACK"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_localhost_is_both_addresses_so_that_nobody_else_has_the_other() -> None:
    def browse(uri: str) -> None:
        port = urlsplit(uri).port
        for address in ("127.0.0.1", "[::1]"):
            uri = f"http://{address}:{port}/callback"
            statuses.append(request(uri, "/favicon.ico", host=f"localhost:{port}")[0].status)
        request(uri, GOOD, host=f"localhost:{port}")

    statuses: list[int] = []
    window = sync_window(browse, "http://localhost/callback")
    window.visit(PROVIDER)
    assert statuses == [404, 404]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_without_ipv4_the_address_is_the_loopback_one_of_ipv6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = loopback_sockets._listener  # noqa: SLF001 - every machine here has IPv4

    def without_ipv4(host: str, port: int) -> socket.socket:
        if host == "127.0.0.1":
            raise OSError(errno.EADDRNOTAVAIL, "no IPv4")
        return listener(host, port)

    monkeypatch.setattr(loopback_sockets, "_listener", without_ipv4)
    window = sync_window(lambda uri: request(uri, GOOD))
    assert window.redirect_uri.startswith("http://[::1]:")
    assert window.visit(PROVIDER) == f"{window.redirect_uri}{GOOD}"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "callback",
        "//evil.example/callback",
        "/call back",
        "/callback?a=1",
        "/callback#a",
        "/ä",
        "https://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:08400/callback",
        "http://0.0.0.0:8400/callback",
        "http://192.168.0.1:8400/callback",
        "http://localhost.evil.example/callback",
        "http://user@127.0.0.1/callback",
        "http://127.0.0.1/callback?a=1",
        "app://callback",
    ],
)
def test_no_other_address_is_ever_bound(redirect_uri: str) -> None:
    with pytest.raises(ValueError, match=r"redirect_uri of a program|port is a whole number"):
        SyncLoopback.of(redirect_uri)


def test_the_options_are_checked_too() -> None:
    with pytest.raises(ValueError, match="redirect_path is a path"):
        SyncLoopback("callback")
    with pytest.raises(ValueError, match=r"host is 127\.0\.0\.1"):
        SyncLoopback(host="0.0.0.0")  # noqa: S104 - it is refused
    with pytest.raises(ValueError, match="port is a whole number"):
        SyncLoopback(port=-1)


@pytest.mark.parametrize("failure", [None, OSError("no browser at all")])
def test_where_there_is_no_browser_the_person_is_shown_the_address(
    failure: OSError | None, caplog: pytest.LogCaptureFixture
) -> None:
    def open_browser(_: str) -> bool:
        if failure is not None:
            raise failure
        return False

    def show(url: str) -> None:
        shown.append((url, threading.current_thread()))
        browser.submit(request, window.redirect_uri, GOOD)

    shown: list[tuple[str, threading.Thread]] = []
    with ThreadPoolExecutor(1) as browser, caplog.at_level(logging.DEBUG):
        window = SyncLoopback(open_browser=open_browser, show=show, timeout=DEADLINE)
        assert window.visit(PROVIDER).endswith(GOOD)
    assert shown == [(PROVIDER, threading.current_thread())]
    assert STATE not in caplog.text
    assert "login.example" not in caplog.text


async def test_the_address_is_shown_in_the_thread_of_the_loop() -> None:
    loop = asyncio.get_running_loop()

    def show(url: str) -> None:
        shown.append((url, threading.current_thread()))
        loop.run_in_executor(None, request, window.redirect_uri, GOOD)

    shown: list[tuple[str, threading.Thread]] = []
    window = Loopback(open_browser=lambda _: False, show=show)
    async with asyncio.timeout(DEADLINE):
        assert (await window.visit(PROVIDER)).endswith(GOOD)
    assert shown == [(PROVIDER, threading.current_thread())]


def cannot_show(_: str) -> None:
    raise LookupError


def test_an_error_while_the_address_is_shown_is_the_caller_s() -> None:
    window = SyncLoopback(open_browser=lambda _: False, show=cannot_show, timeout=DEADLINE)
    with pytest.raises(LookupError):
        window.visit(PROVIDER)
    assert is_free(window.redirect_uri)


async def test_asyncio_reports_nothing_after_an_error_while_the_address_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    window = Loopback(open_browser=lambda _: False, show=cannot_show, timeout=DEADLINE)
    with pytest.raises(LookupError):
        await window.visit(PROVIDER)
    assert is_free(window.redirect_uri)
    for _ in range(3):  # What the thread has left behind arrives.
        await asyncio.sleep(0)
    gc.collect()  # Futures that failed and were never awaited are logged here.
    assert not caplog.records


def test_the_address_is_shown_on_standard_error_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    window = SyncLoopback(open_browser=lambda _: False, timeout=0.3)
    with pytest.raises(SignInFailed):
        window.visit(PROVIDER)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert f"\n{PROVIDER}\n" in printed.err


def test_a_program_without_standard_error_waits_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    window = SyncLoopback(open_browser=lambda _: False, timeout=0.05)
    with pytest.raises(SignInFailed) as failed:
        window.visit(PROVIDER)
    assert failed.value.code == "SIGN_IN_TIMED_OUT"


def test_a_browser_that_runs_until_it_is_left_does_not_stop_the_sign_in() -> None:
    """As those do that run in a terminal."""
    is_left = threading.Event()

    def open_browser(_: str) -> bool:
        request(window.redirect_uri, GOOD)
        return is_left.wait(DEADLINE)

    window = SyncLoopback(open_browser=open_browser, timeout=DEADLINE)
    try:
        assert window.visit(PROVIDER).endswith(GOOD)
    finally:
        is_left.set()


def test_no_repr_shows_the_state() -> None:
    window = sync_window(lambda uri: request(uri, GOOD))
    window.visit(PROVIDER)
    head = f"GET /callback{GOOD} HTTP/1.1\r\nHost: 127.0.0.1:8400".encode()
    assert STATE not in repr(window)
    assert STATE not in repr(answer(head, redirect_uri=OWN, state=STATE))
