"""Other people's HTTP libraries within a session, against the real server in its own process."""

from __future__ import annotations

import asyncio
import codecs
import csv
import json
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

from tests.contract.foreign_servers import Stranger, expired, leads_to, says
from tests.contract.metrics_client import refreshes
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import (
    AsyncClient,
    Client,
    MemoryStore,
    NotSignedIn,
    ReplayImpossible,
    SessionEnded,
    Unreachable,
)
from unexpired.adapters.httpx import SessionAuth


@dataclass
class Program:
    """A program in which ada is signed in."""

    backend: ServerProcess
    store: MemoryStore
    client: Client

    def expire(self) -> None:
        """Have the access token expire, which only the server knows."""
        record = json.loads(self.store.load() or "")
        record["accessToken"] = self.backend.expired(record["accessToken"])
        self.store.save(json.dumps(record))

    def refreshes(self) -> int:
        """How many refreshes the server has decided so far."""
        return refreshes(self.backend)

    def open(self, *origins: str) -> Client:
        """Open a client of the same session, which shows its token to these origins, too."""
        return Client.on_desktop(store=self.store, base_url=self.backend.url, token_origins=origins)

    def open_async(self) -> AsyncClient:
        """Open a client of the same session that awaits."""
        return AsyncClient.on_desktop(store=self.store, base_url=self.backend.url)


@pytest.fixture
def program(backend: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    store = MemoryStore()
    client = Client.on_desktop(store=store, base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    return Program(backend, store, client)


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger() as stranger:
        yield stranger


@pytest.fixture
def other() -> Iterator[Stranger]:
    with Stranger() as stranger:
        yield stranger


# -- What all of them owe ----------------------------------------------------------------------


def by_client(client: Client, url: str) -> int:
    return client.get(url).status_code


def by_urllib(client: Client, url: str) -> int:
    try:
        with client.opener().open(url) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as reply:
        with reply:
            return reply.code


def by_requests(client: Client, url: str) -> int:
    return requests.get(url, auth=client.requests_auth(), timeout=20).status_code


def by_httpx(client: Client, url: str) -> int:
    return httpx.get(url, auth=client.httpx_auth(), follow_redirects=True, timeout=20).status_code


def by_httpx2(client: Client, url: str) -> int:
    return httpx2.get(url, auth=client.httpx_auth(), follow_redirects=True, timeout=20).status_code


WAYS = pytest.mark.parametrize("ask", [by_client, by_urllib, by_requests, by_httpx, by_httpx2])
Way = Callable[[Client, str], int]


@WAYS
def test_a_call_goes_within_the_session(program: Program, ask: Way) -> None:
    """The token is attached; no refresh is made while it is good."""
    before = program.refreshes()
    assert ask(program.client, f"{program.backend.url}/api/me") == 200
    assert program.refreshes() == before


@WAYS
def test_an_expired_token_is_renewed_and_the_call_repeated_once(program: Program, ask: Way) -> None:
    """The caller sees only the second answer."""
    program.expire()
    before = program.refreshes()
    assert ask(program.client, f"{program.backend.url}/api/me") == 200
    assert program.refreshes() == before + 1


@WAYS
def test_a_hundred_threads_share_one_refresh(program: Program, ask: Way) -> None:
    """However many threads find the token expired, the server sees one refresh."""
    program.expire()
    before = program.refreshes()
    with ThreadPoolExecutor(100) as threads:
        url = f"{program.backend.url}/api/me"
        statuses = list(threads.map(lambda _: ask(program.client, url), range(100)))
    assert statuses == [200] * 100
    assert program.refreshes() == before + 1


@WAYS
def test_a_revoked_session_is_told_in_our_words(program: Program, ask: Way) -> None:
    """The library's own error, whatever library made the call."""
    program.client.post("/api/logout-all").raise_for_status()
    with pytest.raises(SessionEnded):
        ask(program.client, f"{program.backend.url}/api/me")
    assert program.store.load() is None
    with pytest.raises(SessionEnded):
        ask(program.client, f"{program.backend.url}/api/me")


@WAYS
@pytest.mark.usefixtures("program")
def test_nobody_makes_no_call(stranger: Stranger, ask: Way) -> None:
    """Without a session nothing is sent."""
    nobody = Client.on_desktop(store=MemoryStore(), base_url=stranger.url)
    with pytest.raises(NotSignedIn):
        ask(nobody, f"{stranger.url}/notes")
    assert stranger.seen == []


@WAYS
def test_another_origin_gets_no_token(program: Program, stranger: Stranger, ask: Way) -> None:
    """A call to a server that is not named goes out as it is."""
    assert ask(program.client, f"{stranger.url}/") == 200
    assert stranger.tokens == [None]


@WAYS
def test_a_redirect_carries_no_token_to_another_origin(
    program: Program, stranger: Stranger, other: Stranger, ask: Way
) -> None:
    """Neither at first, nor when what it leads to asks for a fresh one."""
    stranger.behaviours["/away"] = leads_to(f"{other.url}/there")
    other.behaviours["/there"] = expired
    assert ask(program.open(stranger.url), f"{stranger.url}/away") == 401
    assert all(stranger.tokens)
    assert set(other.tokens) == {None}


@WAYS
def test_an_expired_token_is_renewed_where_a_redirect_leads(
    program: Program, stranger: Stranger, ask: Way
) -> None:
    """A redirect within an origin keeps the session with it."""
    client = program.open(stranger.url)

    def only_fresh(handler: BaseHTTPRequestHandler) -> None:
        is_fresh = len(set(stranger.tokens)) > 1
        (says("fresh") if is_fresh else expired)(handler)

    stranger.behaviours |= {"/old": leads_to("/new"), "/new": only_fresh}
    assert ask(client, f"{stranger.url}/old") == 200
    assert len(set(stranger.tokens)) == 2


@WAYS
def test_an_answer_about_something_else_is_handed_back(program: Program, ask: Way) -> None:
    """404 is the caller's."""
    assert ask(program.client, f"{program.backend.url}/api/nothing") == 404


# -- urllib ------------------------------------------------------------------------------------


def test_an_opener_takes_what_urlopen_takes(program: Program) -> None:
    """A relative URL, a Request, data, headers: the reply is read as urllib's own."""
    opener = program.client.opener()
    with opener.open("/api/me") as reply:
        assert json.load(reply)["username"] == "ada"
        assert reply.headers.get_content_type() == "application/json"
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{program.backend.url}/api/notes", headers={"Content-Type": "application/json"}
    )
    with opener.open(request, json.dumps({"text": "by urllib"}).encode(), timeout=20) as reply:
        assert (reply.status, json.load(reply)["text"]) == (201, "by urllib")


def test_a_failure_is_urllibs_own(program: Program) -> None:
    """A 404 raises HTTPError, with the reply's body to read."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        program.client.opener().open("/api/nothing")
    with caught.value as reply:
        assert (reply.code, json.load(reply)["code"]) == (404, "NOT_FOUND")


def test_code_that_knows_nothing_of_us_is_part_of_the_session(
    program: Program, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the opener installed, plain ``urlopen`` reads a CSV file that needs the token."""
    monkeypatch.setattr(urllib.request, "_opener", None)
    stranger.behaviours["/notes.csv"] = says("id,text\r\n1,hällo\r\n")
    urllib.request.install_opener(program.open(stranger.url).opener())
    with urllib.request.urlopen(f"{stranger.url}/notes.csv") as reply:  # noqa: S310 - loopback
        rows = list(csv.DictReader(codecs.iterdecode(reply, "utf-8")))
    assert rows == [{"id": "1", "text": "hällo"}]
    assert all(stranger.tokens)


def test_a_form_has_urllibs_content_type(program: Program, stranger: Stranger) -> None:
    """Data without a type is a form, as it always was."""
    with program.client.opener().open(f"{stranger.url}/form", b"a=1"):
        pass
    _, headers, body = stranger.seen[0]
    assert (headers["content-type"], body) == ("application/x-www-form-urlencoded", b"a=1")


@pytest.mark.parametrize("status", [302, 307])
def test_a_credential_in_a_body_is_not_redirected(
    other: Stranger, program: Program, status: int
) -> None:
    """A server that moves its sign-in elsewhere moves nobody there."""
    with Stranger({"/api/login": leads_to(f"{other.url}/login", status)}) as moved:
        client = Client.on_desktop(store=MemoryStore(), base_url=moved.url)
        with pytest.raises(Unreachable):
            client.sign_in("ada", "secret")
    assert other.seen == []
    assert program.client.state == "active"


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/", "data:,hello"])
def test_only_the_web_is_read(program: Program, url: str) -> None:
    """The other schemes of urllib are no requests."""
    with pytest.raises(ValueError, match="http or https"):
        program.client.get(url)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://ada:secret@127.0.0.1/"])
def test_a_redirect_leads_nowhere_but_the_web(
    program: Program, stranger: Stranger, url: str
) -> None:
    """What is not plainly another page of the web is handed back as the redirect that it is."""
    stranger.behaviours["/away"] = leads_to(url)
    assert program.client.get(f"{stranger.url}/away").status_code == 302


def test_a_server_that_drips_is_bounded(program: Program, stranger: Stranger) -> None:
    """Each piece in time does not make the whole in time."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b".")
            time.sleep(0.02)

    stranger.behaviours["/drip"] = hang_up(drip)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        program.client.get(f"{stranger.url}/drip", timeout=0.3)
    assert time.monotonic() - started < 10


def test_a_reply_that_breaks_off_is_no_reply(program: Program, stranger: Stranger) -> None:
    """Half a body never passes for a whole one."""
    stranger.behaviours["/half"] = says("half", content_length="1000")
    with pytest.raises(Unreachable):
        program.client.get(f"{stranger.url}/half")


def test_a_server_that_is_not_there_is_unreachable(program: Program) -> None:
    """A refused connection is an outage, and costs no session."""
    with Stranger() as gone:
        address = gone.url
    with pytest.raises(Unreachable):
        program.client.get(address)
    assert program.client.state == "active"


def test_the_systems_proxy_is_used(
    program: Program, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says of proxies holds for our requests, too."""
    monkeypatch.setenv("http_proxy", stranger.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    program.open().get("http://far.example/x")
    assert stranger.seen[0][0] == "GET http://far.example/x"


# -- requests ----------------------------------------------------------------------------------


def test_a_whole_requests_session_is_in_ours(program: Program) -> None:
    """``Session.auth`` serves every request of it; a POST is repeated with its body and key."""
    program.expire()
    with requests.Session() as session:
        session.auth = program.client.requests_auth()
        added = session.post(
            f"{program.backend.url}/api/notes", json={"text": "by requests"}, timeout=20
        )
        notes = session.get(f"{program.backend.url}/api/notes", timeout=20).json()["notes"]
    assert added.status_code == 201
    assert [reply.status_code for reply in added.history] == [401]
    first, second = added.history[0].request, added.request
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.body == second.body
    assert added.json()["id"] in {note["id"] for note in notes}


def test_a_stream_that_requests_has_spent_is_not_sent_again(program: Program) -> None:
    """A body that can be sent once is told to be so."""
    program.expire()
    with pytest.raises(ReplayImpossible):
        requests.post(
            f"{program.backend.url}/api/notes",
            data=iter([b"{}"]),
            auth=program.client.requests_auth(),
            timeout=20,
        )


def test_the_network_is_told_in_requests_own_errors(program: Program) -> None:
    """Code that catches ConnectionError goes on doing so."""
    with Stranger() as gone:
        address = gone.url
    with pytest.raises(requests.ConnectionError):
        requests.get(address, auth=program.client.requests_auth(), timeout=20)


def test_a_body_of_requests_can_still_be_streamed(program: Program, stranger: Stranger) -> None:
    """The reply that the caller wants is not read for them."""
    with requests.get(
        f"{stranger.url}/", auth=program.client.requests_auth(), stream=True, timeout=20
    ) as reply:
        assert reply.raw.read() == b"hello"


# -- httpx and httpx2 --------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


@BOTH
def test_a_form_of_httpx_is_sent_again(program: Program, stranger: Stranger, library: Any) -> None:
    """A multipart form that httpx holds is repeated whole."""
    bodies = stranger.seen

    def only_again(handler: BaseHTTPRequestHandler) -> None:
        (says("taken") if len(bodies) > 1 else expired)(handler)

    stranger.behaviours["/form"] = only_again
    reply = library.post(
        f"{stranger.url}/form",
        files={"file": ("a.txt", b"hello")},
        auth=program.open(stranger.url).httpx_auth(),
    )
    assert reply.status_code == 200
    assert bodies[0][2] == bodies[1][2]
    assert b"hello" in bodies[1][2]


@BOTH
def test_a_stream_that_httpx_has_spent_is_not_sent_again(program: Program, library: Any) -> None:
    """A body that can be sent once is told to be so."""
    program.expire()
    with pytest.raises(ReplayImpossible):
        library.post(
            f"{program.backend.url}/api/notes",
            content=iter([b"{}"]),
            auth=program.client.httpx_auth(),
        )


@BOTH
def test_the_network_is_told_in_httpxs_own_errors(program: Program, library: Any) -> None:
    """Code that catches ConnectError goes on doing so."""
    with Stranger() as gone:
        address = gone.url
    with pytest.raises(library.ConnectError):
        library.get(address, auth=program.client.httpx_auth())


@BOTH
async def test_a_hundred_awaited_calls_of_httpx_share_one_refresh(
    program: Program, library: Any
) -> None:
    """``httpx.AsyncClient`` within an AsyncClient's session: attached, renewed, repeated once."""
    program.expire()
    client = program.open_async()
    before = await asyncio.to_thread(program.refreshes)
    async with library.AsyncClient(
        auth=client.httpx_auth(), base_url=program.backend.url, timeout=20
    ) as http:
        replies = await asyncio.gather(*(http.get("/api/me") for _ in range(100)))
        added = await http.post("/api/notes", json={"text": "by httpx"})
    assert {reply.status_code for reply in replies} == {200}
    assert added.status_code == 201
    assert await asyncio.to_thread(program.refreshes) == before + 1


@BOTH
async def test_a_revoked_session_ends_awaited_calls_of_httpx(
    program: Program, library: Any
) -> None:
    """The library's own error comes through httpx."""
    client = program.open_async()
    (await client.post("/api/logout-all")).raise_for_status()
    async with library.AsyncClient(auth=client.httpx_auth()) as http:
        with pytest.raises(SessionEnded):
            await http.get(f"{program.backend.url}/api/me")


@BOTH
async def test_httpx_without_a_network_of_its_own_goes_through_ours(
    program: Program, stranger: Stranger, library: Any
) -> None:
    """As in a page: the reply is httpx's, and so are the failures; what is ours is left out."""
    client = program.open_async()

    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(1)
        says("late")(handler)

    stranger.behaviours["/slow"] = hang_up(dawdle)
    async with library.AsyncClient(
        transport=client.httpx_transport(), auth=client.httpx_auth()
    ) as http:
        assert (await http.get(f"{program.backend.url}/api/me")).json()["username"] == "ada"
        assert (await http.post(f"{stranger.url}/form", data={"a": "1"})).text == "hello"
        with pytest.raises(library.ReadTimeout):
            await http.get(f"{stranger.url}/slow", timeout=0.1)
        with Stranger() as gone:
            address = gone.url
        with pytest.raises(library.ConnectError):
            await http.get(address)
    _, headers, body = stranger.seen[0]
    assert (headers["content-type"], body) == ("application/x-www-form-urlencoded", b"a=1")
    assert "httpx" not in headers["user-agent"]


@BOTH
async def test_an_auth_of_the_other_world_is_a_mistake_to_hear_of(
    program: Program, library: Any
) -> None:
    """A sync auth in an async client would send nothing but the bare request."""
    async with library.AsyncClient(auth=SessionAuth(program.client.exchange)) as http:
        with pytest.raises(TypeError, match="AsyncClient"):
            await http.get(f"{program.backend.url}/api/me")
    with (
        closing(library.Client(auth=program.open_async().httpx_auth())) as sync_http,
        pytest.raises(TypeError, match="AsyncClient"),
    ):
        sync_http.get(f"{program.backend.url}/api/me")


def hang_up(behaviour: Callable[[BaseHTTPRequestHandler], None]) -> Callable[..., Any]:
    """Let the other side leave without a complaint."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            behaviour(handler)
        except OSError:
            handler.close_connection = True

    return answer
