"""The library and the server together, with the refresh token in the browser's cookie."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import create_app
from tests.server.harness import HASHER, PASSWORD, add_user
from tests.support.clock import FakeClock
from tests.support.provers import FakeProver
from unexpired import (
    AsyncClient,
    BadReply,
    Client,
    Headers,
    MemoryStore,
    NotSignedIn,
    Request,
    Response,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.cookie_store import CookieStore
from unexpired.ports import LocalLock
from unexpired_server.sessions.users import UserExistsError
from unexpired_server.settings import Settings

ORIGIN = "https://app.example"
NAME = "__Host-unexpired"
LIFE = 900


@dataclass
class Browser:
    """A browser with one cookie and one local storage for all of its tabs.

    Attributes:
        http: Sends to the server.
        clock: The server's and the device's.
        cookie: The session's cookie, without its name.
        is_offline: Whether no request gets to the server.
        loses: Whether responses are lost on their way: before the browser takes their cookie, or
            ``"after"`` it did.
        held: Refreshes whose responses are on their way until the test lets them arrive.
    """

    http: httpx.AsyncClient
    clock: FakeClock
    cookie: str = ""
    is_offline: bool = False
    loses: str = ""
    held: asyncio.Event | None = None
    storage: MemoryStore = field(default_factory=MemoryStore)
    lock: LocalLock = field(default_factory=LocalLock)
    requests: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)
    arrived: int = 0

    async def send(self, request: Request) -> Response:
        """Send a request as fetch does: with the cookie only where it is asked for."""
        if self.is_offline:
            raise Unreachable
        path = request.url.removeprefix(ORIGIN)
        assert request.body is None or isinstance(request.body, bytes)
        self.requests.append((path, json.loads(request.body or b"{}"), request.cookies))
        headers = {**request.headers, "origin": ORIGIN}
        if request.cookies and self.cookie:
            headers["cookie"] = f"theme=dark; {NAME}={self.cookie}"
        response = await self.http.request(
            request.method, request.url, headers=headers, content=request.body
        )
        self.http.cookies.clear()
        self.arrived += 1
        if self.held is not None and path == "/api/refresh":
            await self.held.wait()  # An abort ends it here, before the cookie is taken.
        if self.loses == "before":
            raise Unreachable
        if request.cookies:
            self._take(response)
        if self.loses == "after":
            raise Unreachable
        return Response(response.status_code, Headers(dict(response.headers)), response.content)

    def _take(self, response: httpx.Response) -> None:
        for value in response.headers.get_list("set-cookie"):
            pair, _, attributes = value.partition("; ")
            self.cookie = "" if "Max-Age=0" in attributes else pair.removeprefix(f"{NAME}=")

    def open_tab(self, **options: Any) -> AsyncClient:
        """Open a tab; a reload is one more."""
        given: dict[str, Any] = {"store": CookieStore(self.storage), "lock": self.lock} | options
        return AsyncClient(
            self,
            clock=self.clock,
            storage="cookie",
            base_url=ORIGIN,
            page_url=f"{ORIGIN}/",
            **given,
        )

    def refreshes(self) -> list[str | None]:
        """Return the attempt of each refresh."""
        return [body.get("attempt") for path, body, _ in self.requests if path == "/api/refresh"]


Start = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a server with the users ada and bob, and a browser on its own origin."""
    async with AsyncExitStack() as stack:

        async def begin(**changes: Any) -> Browser:
            clock = FakeClock()
            settings = Settings(
                database_url=f"sqlite+aiosqlite:///{tmp_path}/data/contract.sqlite3",
                keys_file=tmp_path / "data" / "keys.json",
                **{"cookies": True, "access_ttl": LIFE, **changes},
            )
            app = create_app(settings, now=clock, hasher=HASHER)
            await stack.enter_async_context(app.router.lifespan_context(app))
            with suppress(UserExistsError):  # It is the second server on this database.
                for name in ("ada", "bob"):
                    await add_user(settings, name)
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
            await stack.enter_async_context(http)
            return Browser(http, clock)

        yield begin


@pytest.fixture
async def browser(start: Start) -> Browser:
    """A browser in which ada is signed in; its tabs are opened by the tests."""
    opened = await start()
    await opened.open_tab().sign_in("ada", PASSWORD)
    opened.requests.clear()
    return opened


async def name_of(tab: AsyncClient) -> str:
    response = await tab.get("/api/me")
    assert response.status_code == 200
    return str(response.json()["username"])


async def test_no_token_is_stored_and_a_reload_costs_one_refresh(start: Start) -> None:
    browser = await start()
    tab = browser.open_tab()
    await tab.sign_in("ada", PASSWORD)
    assert browser.requests[0][1]["cookie"] is True
    assert tab.user is not None
    stored = browser.storage.load() or ""
    token = await tab.token()
    assert browser.cookie.startswith("rt1.")
    assert all(secret not in stored for secret in (token, browser.cookie, "oken"))
    reloaded = browser.open_tab()
    assert (reloaded.state, reloaded.user) == ("active", tab.user)
    assert [await name_of(reloaded), await name_of(reloaded), await name_of(tab)] == ["ada"] * 3
    assert len(browser.refreshes()) == 1


async def test_only_sign_in_refresh_and_sign_out_take_the_cookie_along(browser: Browser) -> None:
    tab = browser.open_tab()
    await name_of(tab)
    await tab.get("/api/sessions", auth=False)
    await tab.sign_out()
    took = {path for path, _, cookies in browser.requests if cookies}
    assert took == {"/api/refresh", "/api/logout"}
    assert {path for path, _, _ in browser.requests} == took | {"/api/me", "/api/sessions"}


async def test_tabs_refresh_for_themselves_and_none_disturbs_another(browser: Browser) -> None:
    tabs = [browser.open_tab() for _ in range(3)]
    for _ in range(40):
        names = await asyncio.gather(*map(name_of, tabs))
        assert names == ["ada"] * 3
        browser.clock.advance(LIFE + 100)
    assert len(browser.refreshes()) == 3 * 40
    assert len(set(browser.refreshes())) == 3 * 40


@pytest.mark.parametrize("loses", ["before", "after"])
@pytest.mark.parametrize("is_reloaded", [False, True])
async def test_a_response_that_was_lost_is_repeated_however_late(
    browser: Browser, loses: str, *, is_reloaded: bool
) -> None:
    tab, browser.loses = browser.open_tab(), loses
    with pytest.raises(Unreachable):
        await tab.refresh()
    browser.loses = ""
    browser.clock.advance(86_400)
    again = browser.open_tab() if is_reloaded else tab
    assert await name_of(again) == "ada"
    first, second = browser.refreshes()
    assert first == second
    browser.clock.advance(86_400)
    assert await name_of(again) == "ada"


async def test_a_refresh_that_was_given_up_cannot_bring_an_older_cookie_back(
    browser: Browser,
) -> None:
    slow, quick = browser.open_tab(refresh_timeout=0.2), browser.open_tab()
    held = browser.held = asyncio.Event()
    with pytest.raises(Unreachable):
        await slow.refresh()
    await until(lambda: slow._exchange is None or slow._exchange.done())  # noqa: SLF001 - its end
    browser.held = None
    for _ in range(2):
        await quick.refresh()
    newest = browser.cookie
    held.set()  # The response of the first refresh arrives now, if anybody waits for it.
    await asyncio.sleep(0)
    assert browser.cookie == newest
    browser.clock.advance(LIFE + 100)
    assert [await name_of(quick), await name_of(browser.open_tab())] == ["ada", "ada"]


async def test_a_refresh_that_another_tab_has_overtaken_is_made_again(browser: Browser) -> None:
    tab, old = browser.open_tab(), browser.cookie
    browser.loses = "before"
    with pytest.raises(Unreachable):
        await browser.open_tab().refresh()
    browser.loses = ""
    for _ in range(2):
        await browser.open_tab().refresh()
    newest, browser.cookie = browser.cookie, old
    marker = json.loads(browser.storage.load() or "")
    # The tab still has the first attempt, and its request is delivered late.
    browser.storage.save(json.dumps({**marker, "attempt": browser.refreshes()[0]}))
    with pytest.raises(Unreachable):
        await tab.refresh()
    browser.cookie = newest
    browser.clock.advance(60)
    assert await name_of(tab) == "ada"
    assert browser.refreshes()[-1] != browser.refreshes()[0]


async def test_a_sign_out_is_that_of_all_tabs_and_clears_the_cookie(browser: Browser) -> None:
    here, there = browser.open_tab(), browser.open_tab()
    await name_of(there)
    cookie = browser.cookie
    await here.sign_out()
    assert browser.cookie == ""
    assert browser.storage.load() is None
    with pytest.raises(NotSignedIn):
        await there.get("/api/me")
    browser.cookie = cookie
    response = await browser.send(refresh_request())
    assert response.code == "SESSION_REVOKED"


async def test_a_sign_out_that_waits_ends_no_session_that_begins_meanwhile(
    browser: Browser,
) -> None:
    here, there = browser.open_tab(), browser.open_tab()
    account = {"username": "bob", "password": PASSWORD, "cookie": True}
    async with browser.lock.hold(1):  # As a refresh does that takes its time.
        leaving = asyncio.ensure_future(here.sign_out())
        await until(lambda: browser.storage.load() is None)
        await there.adopt(await there.post("/api/login", json=account, auth="sign_in"))
        here.wake()
    await leaving
    assert [await name_of(here), await name_of(there)] == ["bob", "bob"]


async def test_a_sign_in_that_is_cancelled_while_it_waits_leaves_no_key(start: Start) -> None:
    browser, prover = await start(), FakeProver()
    tab = browser.open_tab(prover=prover)
    async with browser.lock.hold(1):
        signing_in = asyncio.ensure_future(tab.sign_in("ada", PASSWORD))
        for _ in range(10):
            await asyncio.sleep(0)
        signing_in.cancel()
        with pytest.raises(asyncio.CancelledError):
            await signing_in
    assert (browser.requests, prover.keys) == ([], {})


async def test_a_sign_in_takes_the_place_of_another_and_ends_it(browser: Browser) -> None:
    here, there = browser.open_tab(), browser.open_tab()
    await name_of(there)
    before = browser.cookie
    await here.sign_in("bob", PASSWORD)
    assert [await name_of(here), await name_of(there)] == ["bob", "bob"]
    assert not [path for path, _, _ in browser.requests if path == "/api/logout"]
    browser.cookie = before
    assert (await browser.send(refresh_request())).code == "SESSION_REVOKED"


async def test_a_tab_never_uses_the_token_of_somebody_else(browser: Browser) -> None:
    tab = browser.open_tab()
    ended: list[object] = []
    tab.on("signed_out", ended.append)
    elsewhere = Browser(browser.http, browser.clock)
    await elsewhere.open_tab().sign_in("bob", PASSWORD)
    browser.cookie = elsewhere.cookie  # Another tab's, whose marker is not there yet.
    with pytest.raises(SessionEnded):
        await tab.get("/api/me")
    assert ended == ["elsewhere"]
    assert tab.user is None


async def test_a_sign_in_waits_for_a_refresh_that_would_bring_its_cookie_back(
    browser: Browser,
) -> None:
    refreshing, signing_in = browser.open_tab(), browser.open_tab()
    browser.held = asyncio.Event()
    refresh = asyncio.ensure_future(refreshing.refresh())
    await until(lambda: browser.arrived > 1)
    sign_in = asyncio.ensure_future(signing_in.sign_in("bob", PASSWORD))
    await asyncio.wait({sign_in}, timeout=1)  # If it did not wait, it would be done by then.
    browser.held.set()
    await asyncio.gather(refresh, sign_in, return_exceptions=True)
    browser.held = None
    reloaded = browser.open_tab()
    assert await name_of(reloaded) == "bob"


async def test_signing_out_offline_ends_no_later_session(browser: Browser) -> None:
    here, there = browser.open_tab(), browser.open_tab()
    browser.is_offline = True
    await here.sign_out()
    browser.is_offline = False
    await there.sign_in("bob", PASSWORD)
    here.wake(resume=True)
    await asyncio.gather(*here._background)  # noqa: SLF001 - what it does by itself
    browser.clock.advance(LIFE + 100)
    assert await name_of(there) == "bob"


async def test_signing_out_offline_is_reported_with_the_cookie_later(browser: Browser) -> None:
    tab = browser.open_tab()
    browser.is_offline = True
    await tab.sign_out()
    assert browser.cookie
    browser.is_offline = False
    tab.wake(resume=True)
    await asyncio.gather(*tab._background)  # noqa: SLF001 - what it does by itself
    assert browser.cookie == ""


async def test_a_server_that_sets_no_cookies_is_named_at_the_sign_in(start: Start) -> None:
    browser = await start(cookies=False)
    with pytest.raises(BadReply, match="its setting cookies is off"):
        await browser.open_tab().sign_in("ada", PASSWORD)
    assert browser.storage.load() is None


async def test_a_session_with_a_server_that_has_turned_cookies_off_ends(
    start: Start, browser: Browser
) -> None:
    off = await start(cookies=False)
    off.storage, off.cookie = browser.storage, browser.cookie
    with pytest.raises(SessionExpired):
        await off.open_tab().get("/api/me")


async def test_tokens_that_show_the_refresh_token_are_not_adopted(browser: Browser) -> None:
    response = await browser.http.post(
        f"{ORIGIN}/api/login", json={"username": "bob", "password": PASSWORD}
    )
    tab = browser.open_tab()
    with pytest.raises(BadReply) as error:
        await tab.adopt(response.json())
    assert "open_session(…, response=…)" in error.value.__notes__[0]
    assert await name_of(tab) == "ada"


async def test_a_sign_in_of_the_applications_own_is_adopted(browser: Browser) -> None:
    body = {"username": "bob", "password": PASSWORD, "cookie": True}
    tab = browser.open_tab()
    response = await tab.post("/api/login", json=body, auth="sign_in")
    await tab.adopt(response)
    assert await name_of(tab) == "bob"
    assert await name_of(browser.open_tab()) == "bob"


async def test_without_the_cookie_the_token_is_used_to_its_end_and_a_hint_says_why(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    tab = browser.open_tab()
    await name_of(tab)
    browser.cookie = ""
    browser.clock.advance(LIFE - 30)
    assert await name_of(tab) == "ada"
    browser.clock.advance(LIFE)
    with pytest.raises(SessionExpired):
        await tab.get("/api/me")
    assert "The server got no cookie of a session." in caplog.text


async def test_a_page_without_a_token_ends_where_its_refresh_is_refused(browser: Browser) -> None:
    browser.cookie = ""
    tab = browser.open_tab(tick=0.01)
    ended: list[object] = []
    tab.on("expired", ended.append)
    async with tab:
        await until(lambda: bool(ended))
    assert ended == ["REFRESH_INVALID"]
    assert tab.state == "expired"
    assert browser.storage.load() is None


async def test_a_bound_session_is_refreshed_by_its_key_in_every_tab(start: Start) -> None:
    browser, prover = await start(dpop="refresh"), FakeProver()
    tab = browser.open_tab(prover=prover)
    await tab.sign_in("ada", PASSWORD)
    assert tab.diagnose()["bound"]
    reloaded = browser.open_tab(prover=prover)
    for _ in range(3):
        assert [await name_of(tab), await name_of(reloaded)] == ["ada", "ada"]
        browser.clock.advance(LIFE + 100)
    assert reloaded.diagnose()["bound"]
    thief = Browser(browser.http, browser.clock, browser.cookie)
    thief.storage.save(browser.storage.load() or "")
    with pytest.raises(SessionExpired) as ended:
        await thief.open_tab(prover=FakeProver()).get("/api/me")
    assert ended.value.code == "KEY_LOST"
    assert await name_of(browser.open_tab(prover=prover)) == "ada"


def test_a_program_has_no_cookies() -> None:
    with pytest.raises(ValueError, match='storage="cookie" is for pages'):
        Client.on_desktop(base_url=ORIGIN, storage="cookie")


@pytest.mark.parametrize(
    ("page", "api", "hint"),
    [
        ("https://app.example/", "https://app.example", ""),
        ("https://www.app.example/", "https://api.app.example:8443", ""),
        ("http://localhost:8000/", "http://localhost:9000", ""),
        ("https://app.example/", "https://other.test", "from app.example the browser sends no"),
        ("https://a.github.io/", "https://api.example", "own site"),
        ("https://10.0.0.1/", "https://11.1.0.1", "own site"),
        ("http://app.example/", "http://app.example", "needs https"),
        ("http://app.example/", "https://app.example", "own site"),
    ],
)
def test_a_page_whose_cookie_cannot_arrive_gets_a_hint(
    browser: Browser, page: str, api: str, hint: str
) -> None:
    client = AsyncClient(browser, storage="cookie", base_url=api, page_url=page)
    hints = client.diagnose()["hints"]
    assert hint in " ".join(hints)
    assert bool(hints) == bool(hint)


def refresh_request() -> Request:
    headers = Headers({"content-type": "application/json"})
    return Request("POST", f"{ORIGIN}/api/refresh", headers, b"{}", cookies=True)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_true():
            await asyncio.sleep(0.01)
