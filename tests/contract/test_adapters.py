"""urllib, requests and httpx in a session, against the server in a process of its own."""

from __future__ import annotations

import asyncio
import codecs
import csv
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests

from tests.contract.foreign_servers import (
    Behaviour,
    ForeignServer,
    redirect_to,
    text_response,
    token_expired,
)
from tests.contract.metrics_client import refreshes
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import (
    AsyncClient,
    Client,
    MemoryStore,
    NotSignedIn,
    ReplayImpossible,
    Request,
    SessionEnded,
    Unreachable,
)
from unexpired.adapters.httpx import SessionAuth
from unexpired.desktop.keys import SyncProgramProver
from unexpired.desktop.urllib import UrllibTransport


@dataclass
class Program:
    """A program in which ada is signed in."""

    backend: ServerProcess
    store: MemoryStore
    client: Client

    def expire(self) -> None:
        """Replace the access token by an expired one; the client does not know it has expired."""
        record = json.loads(self.store.load() or "")
        record["accessToken"] = self.backend.expired(record["accessToken"])
        self.store.save(json.dumps(record))

    def refreshes(self) -> int:
        """Return how many refreshes the server has answered so far."""
        return refreshes(self.backend)

    def open(self, *origins: str) -> Client:
        """Open a client of the same session that also sends its token to these origins."""
        return Client.on_desktop(store=self.store, base_url=self.backend.url, token_origins=origins)

    def open_async(self) -> AsyncClient:
        """Open an async client of the same session."""
        return AsyncClient.on_desktop(store=self.store, base_url=self.backend.url)


@pytest.fixture
def program(backend: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = MemoryStore()
    client = Client.on_desktop(store=store, base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    return Program(backend, store, client)


@pytest.fixture
def foreign_server() -> Iterator[ForeignServer]:
    with ForeignServer() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[ForeignServer]:
    with ForeignServer() as server:
        yield server


# -- What all of them do -----------------------------------------------------------------------


def by_client(client: Client, url: str) -> int:
    return client.get(url).status_code


def by_urllib(client: Client, url: str) -> int:
    try:
        with client.opener().open(url) as response:
            return int(response.status)
    except urllib.error.HTTPError as response:
        with response:
            return response.code


def by_requests(client: Client, url: str) -> int:
    return requests.get(url, auth=client.requests_auth(), timeout=20).status_code


def by_httpx(client: Client, url: str) -> int:
    return httpx.get(url, auth=client.httpx_auth(), follow_redirects=True, timeout=20).status_code


def by_httpx2(client: Client, url: str) -> int:
    return httpx2.get(url, auth=client.httpx_auth(), follow_redirects=True, timeout=20).status_code


EACH_LIBRARY = pytest.mark.parametrize(
    "call", [by_client, by_urllib, by_requests, by_httpx, by_httpx2]
)
Call = Callable[[Client, str], int]


@EACH_LIBRARY
def test_a_call_bears_the_token(program: Program, call: Call) -> None:
    """A valid token is attached, and not refreshed."""
    before = program.refreshes()
    assert call(program.client, f"{program.backend.url}/api/me") == 200
    assert program.refreshes() == before


@EACH_LIBRARY
def test_an_expired_token_is_refreshed_and_the_call_retried_once(
    program: Program, call: Call
) -> None:
    """The caller sees the second response only."""
    program.expire()
    before = program.refreshes()
    assert call(program.client, f"{program.backend.url}/api/me") == 200
    assert program.refreshes() == before + 1


@EACH_LIBRARY
def test_a_hundred_threads_share_one_refresh(program: Program, call: Call) -> None:
    """However many threads find the token expired, the server sees one refresh."""
    program.expire()
    before = program.refreshes()
    with ThreadPoolExecutor(100) as threads:
        url = f"{program.backend.url}/api/me"
        statuses = list(threads.map(lambda _: call(program.client, url), range(100)))
    assert statuses == [200] * 100
    assert program.refreshes() == before + 1


@EACH_LIBRARY
def test_a_revoked_session_raises_session_ended(program: Program, call: Call) -> None:
    """The error is ours, whichever library made the call."""
    program.client.post("/api/logout-all").raise_for_status()
    with pytest.raises(SessionEnded):
        call(program.client, f"{program.backend.url}/api/me")
    assert program.store.load() is None
    with pytest.raises(SessionEnded):
        call(program.client, f"{program.backend.url}/api/me")


@EACH_LIBRARY
@pytest.mark.usefixtures("program")
def test_a_call_without_a_session_sends_nothing(foreign_server: ForeignServer, call: Call) -> None:
    """It raises NotSignedIn."""
    signed_out = Client.on_desktop(store=MemoryStore(), base_url=foreign_server.url)
    with pytest.raises(NotSignedIn):
        call(signed_out, f"{foreign_server.url}/notes")
    assert foreign_server.seen == []


@EACH_LIBRARY
def test_another_origin_gets_no_token(
    program: Program, foreign_server: ForeignServer, call: Call
) -> None:
    """A call to an origin that is not trusted is sent unchanged."""
    assert call(program.client, f"{foreign_server.url}/") == 200
    assert foreign_server.tokens == [None]


@EACH_LIBRARY
def test_a_redirect_carries_no_token_to_another_origin(
    program: Program, foreign_server: ForeignServer, other_server: ForeignServer, call: Call
) -> None:
    """Neither at first, nor after the other origin has responded that a token is expired."""
    foreign_server.behaviours["/away"] = redirect_to(f"{other_server.url}/there")
    other_server.behaviours["/there"] = token_expired
    assert call(program.open(foreign_server.url), f"{foreign_server.url}/away") == 401
    assert all(foreign_server.tokens)
    assert set(other_server.tokens) == {None}


def test_a_redirect_carries_no_key_to_another_origin(
    program: Program, foreign_server: ForeignServer, other_server: ForeignServer
) -> None:
    """Any header field that a page could not send there unasked may be a credential."""
    foreign_server.behaviours["/away"] = redirect_to(f"{other_server.url}/there")
    client = Client.on_desktop(
        store=program.store, base_url=foreign_server.url, headers={"X-Api-Key": "KEY"}
    )
    given = {"Cookie": "a=b", "Accept": "text/csv"}
    client.get("/away", auth=False, headers=given).raise_for_status()
    [(_, sent, _)], [(_, followed, _)] = foreign_server.seen, other_server.seen
    assert {"x-api-key", "cookie"} <= sent.keys()
    assert not {"x-api-key", "cookie"} & followed.keys()
    assert followed["accept"] == "text/csv"


@pytest.mark.parametrize("call", [by_client, by_urllib, by_requests])
def test_a_redirect_carries_no_proof_to_another_origin(
    program: Program, foreign_server: ForeignServer, other_server: ForeignServer, call: Call
) -> None:
    """Neither at first, nor after a proof with a newer nonce; httpx copies it along."""
    bind(program.store)
    away = redirect_to(f"{other_server.url}/there")

    def want_a_nonce_first(handler: BaseHTTPRequestHandler) -> None:
        wanted = text_response('{"code": "USE_DPOP_NONCE", "nonce": "n1"}', 401)
        (wanted if len(foreign_server.seen) == 1 else away)(handler)

    foreign_server.behaviours["/away"] = want_a_nonce_first
    assert call(program.open(foreign_server.url), f"{foreign_server.url}/away") == 200
    assert ["dpop" in headers for _, headers, _ in foreign_server.seen] == [True, True]
    assert ["dpop" in headers for _, headers, _ in other_server.seen] == [False]


def bind(store: MemoryStore) -> None:
    """Make the stored session one whose calls need proofs."""
    record, key = json.loads(store.load() or ""), SyncProgramProver().create()
    store.save(json.dumps({**record, "version": 2, "key": key, "scheme": "DPoP", "nonce": None}))


@EACH_LIBRARY
def test_an_expired_token_is_refreshed_after_a_redirect(
    program: Program, foreign_server: ForeignServer, call: Call
) -> None:
    """A redirect within an origin keeps the token."""
    client = program.open(foreign_server.url)

    def accept_refreshed(handler: BaseHTTPRequestHandler) -> None:
        is_fresh = len(set(foreign_server.tokens)) > 1
        (text_response("fresh") if is_fresh else token_expired)(handler)

    foreign_server.behaviours |= {"/old": redirect_to("/new"), "/new": accept_refreshed}
    assert call(client, f"{foreign_server.url}/old") == 200
    assert len(set(foreign_server.tokens)) == 2


@EACH_LIBRARY
def test_a_response_that_is_not_about_the_token_is_returned(program: Program, call: Call) -> None:
    """A 404 is the caller's to handle."""
    assert call(program.client, f"{program.backend.url}/api/nothing") == 404


# -- urllib ------------------------------------------------------------------------------------


def test_an_opener_accepts_what_urlopen_accepts(program: Program) -> None:
    """A relative URL, a Request, data and headers; the response is one of urllib's."""
    opener = program.client.opener()
    with opener.open("/api/me") as response:
        assert json.load(response)["username"] == "ada"
        assert response.headers.get_content_type() == "application/json"
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{program.backend.url}/api/notes", headers={"Content-Type": "application/json"}
    )
    with opener.open(request, json.dumps({"text": "by urllib"}).encode(), timeout=20) as response:
        assert (response.status, json.load(response)["text"]) == (201, "by urllib")


def test_an_error_status_raises_urllibs_http_error(program: Program) -> None:
    """The body of the response can be read."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        program.client.opener().open("/api/nothing")
    with caught.value as response:
        assert (response.code, json.load(response)["code"]) == (404, "NOT_FOUND")


def test_an_installed_opener_adds_the_token_to_plain_urlopen(
    program: Program, foreign_server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``urlopen`` reads a CSV file that needs the token."""
    monkeypatch.setattr(urllib.request, "_opener", None)
    foreign_server.behaviours["/notes.csv"] = text_response("id,text\r\n1,hällo\r\n")
    urllib.request.install_opener(program.open(foreign_server.url).opener())
    with urllib.request.urlopen(f"{foreign_server.url}/notes.csv") as response:  # noqa: S310 - loopback
        rows = list(csv.DictReader(codecs.iterdecode(response, "utf-8")))
    assert rows == [{"id": "1", "text": "hällo"}]
    assert all(foreign_server.tokens)


def test_data_without_a_content_type_is_sent_as_a_form(
    program: Program, foreign_server: ForeignServer
) -> None:
    """This is urllib's default."""
    with program.client.opener().open(f"{foreign_server.url}/form", b"a=1"):
        pass
    _, headers, body = foreign_server.seen[0]
    assert (headers["content-type"], body) == ("application/x-www-form-urlencoded", b"a=1")


@pytest.mark.parametrize("status", [302, 307])
def test_a_password_is_not_sent_along_a_redirect(
    other_server: ForeignServer, program: Program, status: int
) -> None:
    """A redirected sign-in raises Unreachable."""
    with ForeignServer({"/api/login": redirect_to(f"{other_server.url}/login", status)}) as moved:
        client = Client.on_desktop(store=MemoryStore(), base_url=moved.url)
        with pytest.raises(Unreachable):
            client.sign_in("ada", "secret")
    assert other_server.seen == []
    assert program.client.state == "active"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/", "data:,hello"])
def test_only_http_urls_are_called(program: Program, url: str) -> None:
    """Other schemes that urllib knows, such as ``file:``, are rejected."""
    with pytest.raises(ValueError, match="http or https"):
        program.client.get(url)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://ada:secret@127.0.0.1/", "http://[::x/"]
)
def test_a_redirect_is_followed_to_plain_http_urls_only(
    program: Program, foreign_server: ForeignServer, url: str
) -> None:
    """Any other redirect is returned to the caller."""
    foreign_server.behaviours["/away"] = redirect_to(url)
    assert program.client.get(f"{foreign_server.url}/away").status_code == 302


def send_slowly(pieces: int, seconds: float) -> Behaviour:
    """Return a behaviour that sends a head at once, and single bytes with pauses."""

    def behaviour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", str(pieces))
        handler.end_headers()
        for _ in range(pieces):
            handler.wfile.write(b".")
            time.sleep(seconds)

    return ignore_hang_up(behaviour)


def test_a_request_for_tokens_is_bounded_as_a_whole(foreign_server: ForeignServer) -> None:
    """A server that keeps sending single bytes does not extend it."""
    foreign_server.behaviours["/slow"] = send_slowly(1000, 0.02)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        UrllibTransport().send(Request("GET", f"{foreign_server.url}/slow"), 0.3)
    assert time.monotonic() - started < 10


async def test_a_download_that_keeps_moving_may_take_longer_than_the_timeout(
    program: Program, foreign_server: ForeignServer
) -> None:
    """The timeout bounds the silence in a body, not its length, in both clients."""
    foreign_server.behaviours["/slow"] = send_slowly(12, 0.2)
    url = f"{foreign_server.url}/slow"
    assert program.client.get(url, timeout=2).content == b"." * 12
    assert (await program.open_async().get(url, timeout=2)).content == b"." * 12


async def test_a_download_that_stands_still_is_unreachable(
    program: Program, foreign_server: ForeignServer
) -> None:
    """After ``timeout`` seconds without a byte; the server sees the connection go."""
    standing, client = threading.Semaphore(0), program.open_async()

    def stand_still(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b".")
        while handler.connection.recv(1):
            pass
        standing.release()

    foreign_server.behaviours["/stuck"] = ignore_hang_up(stand_still)
    url = f"{foreign_server.url}/stuck"
    with pytest.raises(Unreachable):
        program.client.get(url, timeout=0.2)
    with pytest.raises(Unreachable, match="stopped sending"):
        await client.get(url, timeout=0.2)
    async with client.stream("GET", url, timeout=None) as stream:
        pieces = stream.aiter_bytes()
        assert await anext(pieces) == b"."
        waiting = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
    with pytest.raises(Unreachable):
        await waiting
    assert all(standing.acquire(timeout=20) for _ in range(3))


def test_an_incomplete_response_is_unreachable(
    program: Program, foreign_server: ForeignServer
) -> None:
    """Part of a body is never returned as the whole."""
    foreign_server.behaviours["/half"] = text_response("half", content_length="1000")
    with pytest.raises(Unreachable):
        program.client.get(f"{foreign_server.url}/half")


def test_a_refused_connection_is_unreachable(program: Program) -> None:
    """It does not end the session."""
    with ForeignServer() as gone:
        address = gone.url
    with pytest.raises(Unreachable):
        program.client.get(address)
    assert program.client.state == "active"


def test_the_systems_proxy_is_used(
    program: Program, foreign_server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``http_proxy`` applies to our requests, too."""
    monkeypatch.setenv("http_proxy", foreign_server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    program.open().get("http://far.example/x")
    assert foreign_server.seen[0][0] == "GET http://far.example/x"


# -- requests ----------------------------------------------------------------------------------


def test_a_requests_session_uses_ours_for_every_request(program: Program) -> None:
    """With ``Session.auth`` set; a POST is retried with its body and idempotency key."""
    program.expire()
    with requests.Session() as session:
        session.auth = program.client.requests_auth()
        added = session.post(
            f"{program.backend.url}/api/notes", json={"text": "by requests"}, timeout=20
        )
        notes = session.get(f"{program.backend.url}/api/notes", timeout=20).json()["notes"]
    assert added.status_code == 201
    assert [response.status_code for response in added.history] == [401]
    first, second = added.history[0].request, added.request
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    assert added.json()["id"] in {note["id"] for note in notes}


def test_requests_does_not_resend_a_consumed_stream(program: Program) -> None:
    """ReplayImpossible tells the caller that the body can be sent once only."""
    program.expire()
    with pytest.raises(ReplayImpossible):
        requests.post(
            f"{program.backend.url}/api/notes",
            data=iter([b"{}"]),
            auth=program.client.requests_auth(),
            timeout=20,
        )


def test_network_failures_raise_errors_of_requests(program: Program) -> None:
    """Code that catches requests.ConnectionError needs no change."""
    with ForeignServer() as gone:
        address = gone.url
    with pytest.raises(requests.ConnectionError):
        requests.get(address, auth=program.client.requests_auth(), timeout=20)


def test_requests_can_stream_a_response(program: Program, foreign_server: ForeignServer) -> None:
    """The adapter does not read the body of the final response."""
    with requests.get(
        f"{foreign_server.url}/", auth=program.client.requests_auth(), stream=True, timeout=20
    ) as response:
        assert response.raw.read() == b"hello"


# -- httpx and httpx2 --------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@BOTH
def test_httpx_resends_a_multipart_form(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """The retry has the same body."""
    seen = foreign_server.seen

    def accept_second(handler: BaseHTTPRequestHandler) -> None:
        (text_response("taken") if len(seen) > 1 else token_expired)(handler)

    foreign_server.behaviours["/form"] = accept_second
    response = library.post(
        f"{foreign_server.url}/form",
        files={"file": ("a.txt", b"hello")},
        auth=program.open(foreign_server.url).httpx_auth(),
    )
    assert response.status_code == 200
    assert seen[0][2] == seen[1][2]
    assert b"hello" in seen[1][2]


def in_two_pieces(read: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    """Send the second half of a body when the client has read the first one."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "4")
        handler.end_headers()
        handler.wfile.write(b"ab")
        handler.wfile.flush()
        if read.wait(20):
            handler.wfile.write(b"cd")

    return respond


def expired_first(
    server: ForeignServer, then: Callable[[BaseHTTPRequestHandler], None]
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Respond to the first request that its token has expired."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        (then if len(server.seen) > 1 else token_expired)(handler)

    return respond


@BOTH
def test_httpx_streams_the_response_to_the_retry(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """The body is the caller's to read, piece by piece."""
    has_read, auth = threading.Event(), program.open(foreign_server.url).httpx_auth()
    foreign_server.behaviours["/big"] = expired_first(foreign_server, in_two_pieces(has_read))
    with library.stream("GET", f"{foreign_server.url}/big", auth=auth, timeout=20) as response:
        pieces = response.iter_bytes()
        assert next(pieces) == b"ab"
        has_read.set()
        assert b"".join(pieces) == b"cd"
    assert len(foreign_server.seen) == 2


@BOTH
async def test_httpx_streams_the_response_to_the_retry_for_code_that_awaits(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """The body is the caller's to read, piece by piece."""
    has_read = threading.Event()
    client = AsyncClient.on_desktop(
        store=program.store, base_url=program.backend.url, token_origins=(foreign_server.url,)
    )
    foreign_server.behaviours["/big"] = expired_first(foreign_server, in_two_pieces(has_read))
    async with (
        library.AsyncClient(auth=client.httpx_auth(), timeout=20) as http,
        http.stream("GET", f"{foreign_server.url}/big") as response,
    ):
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"ab"
        has_read.set()
        assert b"".join([piece async for piece in pieces]) == b"cd"
    assert len(foreign_server.seen) == 2


@BOTH
def test_httpx_streams_a_response_that_is_not_about_the_token(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """We have read it to know, and the caller reads it again."""
    foreign_server.behaviours["/no"] = text_response("not yours", status=403)
    auth = program.open(foreign_server.url).httpx_auth()
    with library.stream("GET", f"{foreign_server.url}/no", auth=auth) as response:
        assert response.status_code == 403
        assert b"".join(response.iter_bytes()) == b"not yours"


@BOTH
def test_httpx_does_not_resend_a_consumed_stream(program: Program, library: Any) -> None:
    """ReplayImpossible tells the caller that the body can be sent once only."""
    program.expire()
    with pytest.raises(ReplayImpossible):
        library.post(
            f"{program.backend.url}/api/notes",
            content=iter([b"{}"]),
            auth=program.client.httpx_auth(),
        )


@BOTH
def test_network_failures_raise_errors_of_httpx(program: Program, library: Any) -> None:
    """Code that catches httpx.ConnectError needs no change."""
    with ForeignServer() as gone:
        address = gone.url
    with pytest.raises(library.ConnectError):
        library.get(address, auth=program.client.httpx_auth())


@BOTH
async def test_a_hundred_async_calls_of_httpx_share_one_refresh(
    program: Program, library: Any
) -> None:
    """``httpx.AsyncClient`` in an AsyncClient's session: attached, refreshed, retried once."""
    program.expire()
    client = program.open_async()
    before = await asyncio.to_thread(program.refreshes)
    async with library.AsyncClient(
        auth=client.httpx_auth(), base_url=program.backend.url, timeout=20
    ) as http:
        responses = await asyncio.gather(*(http.get("/api/me") for _ in range(100)))
        added = await http.post("/api/notes", json={"text": "by httpx"})
    assert {response.status_code for response in responses} == {200}
    assert added.status_code == 201
    assert await asyncio.to_thread(program.refreshes) == before + 1


@BOTH
async def test_a_revoked_session_ends_async_calls_of_httpx(program: Program, library: Any) -> None:
    """Our error passes through httpx."""
    client = program.open_async()
    (await client.post("/api/logout-all")).raise_for_status()
    async with library.AsyncClient(auth=client.httpx_auth()) as http:
        with pytest.raises(SessionEnded):
            await http.get(f"{program.backend.url}/api/me")


@BOTH
async def test_httpx_sends_through_our_transport(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """As in a page: responses and errors are httpx's; httpx's own User-Agent is not sent."""
    client, timed_out = program.open_async(), threading.Event()

    def respond_late(handler: BaseHTTPRequestHandler) -> None:
        timed_out.wait(20)
        text_response("late")(handler)

    foreign_server.behaviours["/slow"] = ignore_hang_up(respond_late)
    async with library.AsyncClient(
        transport=client.httpx_transport(), auth=client.httpx_auth()
    ) as http:
        assert (await http.get(f"{program.backend.url}/api/me")).json()["username"] == "ada"
        assert (await http.post(f"{foreign_server.url}/form", data={"a": "1"})).text == "hello"
        with pytest.raises(library.ReadTimeout):
            await http.get(f"{foreign_server.url}/slow", timeout=0.1)
        timed_out.set()
        with pytest.raises(ValueError, match="no body"):  # A browser would not send it.
            await http.request("GET", f"{foreign_server.url}/form", json={"a": 1})
        with ForeignServer() as gone:
            address = gone.url
        with pytest.raises(library.ConnectError):
            await http.get(address)
    _, headers, body = foreign_server.seen[0]
    assert (headers["content-type"], body) == ("application/x-www-form-urlencoded", b"a=1")
    assert "httpx" not in headers["user-agent"]


@BOTH
async def test_httpx_streams_through_our_transport(
    program: Program, foreign_server: ForeignServer, library: Any
) -> None:
    """A body arrives in pieces; one that stands still or breaks off raises httpx's own errors."""
    client, was_read = program.open_async(), threading.Event()

    def send_half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "10")
        handler.end_headers()
        handler.wfile.write(b"first")
        was_read.wait(20)

    foreign_server.behaviours["/half"] = send_half
    url = f"{foreign_server.url}/half"
    async with (
        library.AsyncClient(transport=client.httpx_transport()) as http,
        http.stream("GET", url, timeout=20) as response,
    ):
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"first"
        with pytest.raises(library.ReadTimeout):
            await http.get(url, timeout=0.2)
        was_read.set()
        with pytest.raises(library.ReadError):
            await anext(pieces)


@BOTH
async def test_a_sync_auth_in_an_async_client_raises_type_error(
    program: Program, library: Any
) -> None:
    """And the other way round: httpx would send the request without a token."""
    async with library.AsyncClient(auth=SessionAuth(program.client.exchange)) as http:
        with pytest.raises(TypeError, match="AsyncClient"):
            await http.get(f"{program.backend.url}/api/me")
    with (
        closing(library.Client(auth=program.open_async().httpx_auth())) as sync_http,
        pytest.raises(TypeError, match="AsyncClient"),
    ):
        sync_http.get(f"{program.backend.url}/api/me")


def ignore_hang_up(behaviour: Callable[[BaseHTTPRequestHandler], None]) -> Callable[..., Any]:
    """Ignore that the client closes the connection before the response is complete."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        try:
            behaviour(handler)
        except OSError:
            handler.close_connection = True

    return respond
