"""The refresh token in a cookie: who gets it, who may use it, and what it looks like."""

import logging
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.server.harness import PASSWORD, StartServer, TestServer, bearer
from unexpired_server.auth import Auth
from unexpired_server.errors import Unavailable
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.user import User
from unexpired_server.settings import Settings, SettingsError, load_settings

NAME = "__Host-unexpired"
HOST = "app.example"
ORIGIN = f"https://{HOST}"
SUBDOMAIN = "https://blog.app.example"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"
CLEARED = f"{NAME}=; {ATTRIBUTES}; Max-Age=0"
WEEK = 7 * 86_400


class Browser:
    """Sends what a page of an origin makes a browser send, and keeps our cookie.

    Args:
        node: The server.
        origin: The page's; None for a request without one.
        host: What the requests call the server.
    """

    def __init__(self, node: TestServer, origin: str | None = ORIGIN, host: str = HOST) -> None:
        self.node = node
        self.origin = origin
        self.host = host
        self.cookie = ""
        self.others = ""  # Cookies of other applications.

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        cookies = "; ".join(filter(None, (self.others, self.cookie)))
        given = {"Host": self.host, "Origin": self.origin, "Cookie": cookies} | headers
        sent = {name: value for name, value in given.items() if value}
        response = await self.node.http.post(path, json=body, headers=sent)
        for value in response.headers.get_list("set-cookie"):
            pair, _, attributes = value.partition("; ")
            self.cookie = "" if "Max-Age=0" in attributes else pair
        self.node.http.cookies.clear()
        return response

    async def sign_in(self, **changes: object) -> httpx.Response:
        body = {"username": "ada", "password": PASSWORD, "cookie": True} | changes
        return await self.post("/api/login", body)

    async def refresh(self, **body: object) -> httpx.Response:
        return await self.post("/api/refresh", body)

    async def sign_out(self, **body: object) -> httpx.Response:
        return await self.post("/api/logout", body)

    @property
    def token(self) -> str:
        return self.cookie.partition("=")[2]


@pytest.fixture
async def cookie_node(start: StartServer) -> TestServer:
    return await start(cookies=True, signup=True)


@pytest.fixture
async def browser(cookie_node: TestServer) -> Browser:
    """A browser that is signed in."""
    signed_in = Browser(cookie_node)
    assert (await signed_in.sign_in()).status_code == 200
    return signed_in


def cookies_set(response: httpx.Response) -> list[str]:
    values: list[str] = response.headers.get_list("set-cookie")
    return values


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# -- A sign-in ---------------------------------------------------------------------------------


async def test_a_sign_in_that_asks_for_it_gets_the_refresh_token_in_the_cookie_only(
    cookie_node: TestServer,
) -> None:
    browser = Browser(cookie_node)
    response = await browser.sign_in()
    tokens = response.json()
    assert response.status_code == 200
    assert "refreshToken" not in tokens
    assert tokens["refreshExpiresIn"] == WEEK
    assert tokens["user"]["username"] == "ada"
    assert cookies_set(response) == [f"{browser.cookie}; {ATTRIBUTES}; Max-Age={WEEK}"]
    assert browser.token.startswith("rt1.")
    assert browser.token not in response.text
    assert response.headers["cache-control"] == "no-store"


async def test_the_cookie_has_the_form_that_browsers_require_of_its_name(
    cookie_node: TestServer,
) -> None:
    (value,) = cookies_set(await Browser(cookie_node).sign_in())
    morsel = SimpleCookie(value)[NAME]
    assert morsel["path"] == "/"
    assert morsel["secure"]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert morsel["domain"] == ""  # Else it is no `__Host-` cookie (RFC 6265bis, 4.1.3.2).


async def test_an_account_that_is_created_gets_the_cookie_too(cookie_node: TestServer) -> None:
    browser = Browser(cookie_node)
    body = {"username": "eve", "password": "a long enough secret", "cookie": True}
    response = await browser.post("/api/signup", body)
    assert response.status_code == 201
    assert "refreshToken" not in response.json()
    assert (await browser.refresh()).status_code == 200


async def test_a_sign_in_that_does_not_ask_is_as_before(cookie_node: TestServer) -> None:
    response = await cookie_node.login()
    assert response.json().keys() == {
        *("accessToken", "refreshToken", "tokenType", "expiresIn", "refreshExpiresIn", "user"),
    }
    assert cookies_set(response) == []


async def test_a_sign_in_without_a_cookie_clears_a_stale_one(browser: Browser) -> None:
    response = await browser.sign_in(cookie=False)
    assert response.json()["refreshToken"]
    assert cookies_set(response) == [CLEARED]
    assert browser.cookie == ""


async def test_a_sign_in_ends_the_session_of_the_cookie_that_it_replaces(
    browser: Browser,
) -> None:
    before = browser.cookie
    await browser.sign_in(username="bob")
    bobs = browser.cookie
    await browser.sign_in(cookie=False)
    for cookie in (before, bobs):
        browser.cookie = cookie
        assert code(await browser.refresh()) == (401, "SESSION_REVOKED")


async def test_a_failed_sign_in_keeps_the_cookie(browser: Browser) -> None:
    for wanted in (True, False):
        response = await browser.sign_in(password="wrong", cookie=wanted)
        assert code(response) == (401, "BAD_CREDENTIALS")
        assert cookies_set(response) == []
    assert (await browser.refresh()).status_code == 200


async def test_a_server_without_cookies_names_the_setting_and_opens_no_session(
    node: TestServer,
) -> None:
    browser = Browser(node)
    response = await browser.sign_in()
    assert code(response) == (400, "BAD_REQUEST")
    assert "its setting cookies is off" in response.json()["error"]
    tokens = await node.sign_in()
    listed = await node.http.get("/api/sessions", headers=bearer(tokens["accessToken"]))
    assert len(listed.json()["sessions"]) == 1


async def test_a_server_without_cookies_reads_and_clears_none(
    start: StartServer, browser: Browser
) -> None:
    off = await start()
    without = Browser(off)
    response = await without.refresh()
    assert code(response) == (400, "BAD_REQUEST")
    assert response.json()["error"] == "refreshToken: Field required."
    without.cookie = browser.cookie  # From before the setting was turned off: the session ends.
    assert code(await without.refresh()) == (401, "REFRESH_INVALID")
    tokens = await off.sign_in()
    assert (await without.refresh(refreshToken=tokens["refreshToken"])).status_code == 200
    response = await without.sign_out()
    assert response.status_code == 204
    assert cookies_set(response) == []
    assert (await browser.refresh()).status_code == 200


@pytest.mark.parametrize("wanted", ["yes", 1, None, []])
async def test_cookie_is_true_or_false(cookie_node: TestServer, wanted: object) -> None:
    assert code(await Browser(cookie_node).sign_in(cookie=wanted)) == (400, "BAD_REQUEST")


# -- A refresh ---------------------------------------------------------------------------------


async def test_a_refresh_takes_the_cookie_and_replaces_it(browser: Browser) -> None:
    before = browser.token
    browser.node.clock.advance(100)
    response = await browser.refresh()
    assert response.status_code == 200
    assert response.json().keys() == {"accessToken", "tokenType", "expiresIn", "refreshExpiresIn"}
    assert cookies_set(response) == [f"{browser.cookie}; {ATTRIBUTES}; Max-Age={WEEK}"]
    assert browser.token != before
    assert (await browser.node.me(response.json()["accessToken"])).status_code == 200


async def test_the_cookie_lives_as_long_as_its_token(start: StartServer) -> None:
    node = await start(cookies=True, refresh_absolute_ttl=1000)
    browser = Browser(node)
    await browser.sign_in()
    node.clock.advance(400)
    response = await browser.refresh()
    assert response.json()["refreshExpiresIn"] == 600
    assert cookies_set(response)[0].endswith("; Max-Age=600")


async def test_a_repeat_with_the_cookie_of_before_gets_the_same_successor(
    browser: Browser,
) -> None:
    attempt, before = "a" * 22, browser.cookie
    await browser.refresh(attempt=attempt)
    once = browser.cookie
    browser.cookie = before  # The response was lost.
    browser.node.clock.advance(3600)
    assert (await browser.refresh(attempt=attempt)).status_code == 200
    assert browser.cookie == once


async def test_a_token_in_the_body_works_as_before(cookie_node: TestServer) -> None:
    tokens = await cookie_node.sign_in()
    response = await cookie_node.refresh(tokens["refreshToken"])
    assert response.json()["refreshToken"]
    assert cookies_set(response) == []


@pytest.mark.parametrize("path", ["/api/refresh", "/api/logout"])
async def test_a_token_in_both_places_is_refused_and_the_cookie_cleared(
    browser: Browser, path: str
) -> None:
    tokens = await browser.node.sign_in()
    body = {"refreshToken": tokens["refreshToken"]}
    response = await browser.post(path, body)
    assert code(response) == (400, "BAD_REQUEST")
    assert cookies_set(response) == [CLEARED]
    # A page that has come after one with the cookie is not refused again and again.
    assert (await browser.post(path, body)).status_code < 300


async def test_a_refresh_without_any_token_is_refused_for_good(cookie_node: TestServer) -> None:
    response = await Browser(cookie_node).refresh()
    assert code(response) == (401, "REFRESH_INVALID")
    assert cookies_set(response) == []


@pytest.mark.parametrize(
    "value", ["x", "rt1.", "rt1." + "A" * 60, '"rt1.x"', "é", "A" * 30_000, "=", "a=b", "\x01"]
)
async def test_garbage_in_the_cookie_is_no_token(cookie_node: TestServer, value: str) -> None:
    headers = [
        *((b"host", HOST.encode()), (b"origin", ORIGIN.encode())),
        *((b"content-type", b"application/json"), (b"cookie", f"{NAME}={value}".encode())),
    ]
    response = await cookie_node.raw("POST", "/api/refresh", headers, b"{}")
    assert (response.status, response.json["code"]) == (401, "REFRESH_INVALID")
    # The response to a refresh that was overtaken by a sign-in must not clear the cookie of that.
    assert "set-cookie" not in response.headers


async def test_two_different_cookies_of_the_name_name_no_session(browser: Browser) -> None:
    other = Browser(browser.node)
    await other.sign_in(username="bob")
    mine, browser.cookie = browser.cookie, f"{browser.cookie}; {other.cookie}"
    assert code(await browser.refresh()) == (401, "REFRESH_INVALID")
    browser.cookie = f"{mine}; {mine}"
    assert (await browser.refresh()).status_code == 200


async def test_other_peoples_cookies_are_not_touched(browser: Browser) -> None:
    browser.others = f"theme=dark; {NAME}x=1; x{NAME}=2; __host-unexpired=3; unexpired=4; broken"
    for response in (await browser.refresh(), await browser.sign_out()):
        assert response.is_success
        assert [value.partition("=")[0] for value in cookies_set(response)] == [NAME]


async def test_cookies_in_several_fields_are_read(cookie_node: TestServer) -> None:
    browser = Browser(cookie_node)
    await browser.sign_in()
    headers = [
        *((b"host", HOST.encode()), (b"origin", ORIGIN.encode())),
        *((b"content-type", b"application/json"), (b"cookie", b"theme=dark")),
        (b"cookie", browser.cookie.encode()),  # As HTTP/2 may split them (RFC 9113, 8.2.3).
    ]
    response = await cookie_node.raw("POST", "/api/refresh", headers, b"{}")
    assert response.status == 200


# -- A sign-out --------------------------------------------------------------------------------


async def test_a_sign_out_ends_the_cookies_session_and_clears_it(browser: Browser) -> None:
    before = browser.cookie
    response = await browser.sign_out()
    assert (response.status_code, response.content) == (204, b"")
    assert cookies_set(response) == [CLEARED]
    browser.cookie = before
    assert code(await browser.refresh()) == (401, "SESSION_REVOKED")


@pytest.mark.parametrize("cookie", ["", f"{NAME}=garbage"])
async def test_a_sign_out_clears_the_cookie_whatever_is_in_it(
    cookie_node: TestServer, cookie: str
) -> None:
    browser = Browser(cookie_node)
    browser.cookie = cookie
    response = await browser.sign_out()
    assert response.status_code == 204
    assert cookies_set(response) == [CLEARED]


async def test_a_sign_out_without_the_cookie_ends_the_access_tokens_session(
    browser: Browser,
) -> None:
    tokens = await browser.node.sign_in()
    before, browser.cookie = browser.cookie, ""
    response = await browser.post(
        "/api/logout", {}, Authorization=f"Bearer {tokens['accessToken']}"
    )
    assert response.status_code == 204
    assert code(await browser.node.refresh(tokens["refreshToken"])) == (401, "SESSION_REVOKED")
    browser.cookie = before
    assert (await browser.refresh()).status_code == 200


async def test_a_sign_out_clears_the_cookie_also_while_the_database_is_down(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> bool:
        raise Unavailable

    monkeypatch.setattr(Store, "revoke", fail)
    response = await browser.sign_out()
    assert response.status_code == 503
    assert cookies_set(response) == [CLEARED]


async def test_a_program_that_signs_out_gets_no_cookie_header(cookie_node: TestServer) -> None:
    tokens = await cookie_node.sign_in()
    body = {"refreshToken": tokens["refreshToken"]}
    response = await cookie_node.http.post("/api/logout", json=body)
    assert response.status_code == 204
    assert cookies_set(response) == []


# -- The origin --------------------------------------------------------------------------------

FOREIGN = [
    None, "null", SUBDOMAIN, "https://app.example:8443", "http://app.example",
    "https://app.example.evil.example", "https://evil.example", "https://app.example/",
    "HTTPS://APP.EXAMPLE", "app.example", "https://user@app.example", "",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
async def test_pages_of_other_origins_can_neither_use_nor_set_the_cookie(
    browser: Browser, origin: str | None
) -> None:
    browser.origin = origin
    before = browser.cookie
    for response in (
        await browser.refresh(),
        await browser.sign_out(),
        await browser.sign_in(),  # Else a page could sign the person in as somebody else.
        await browser.refresh(refreshToken="rt1.x"),
        await browser.sign_out(refreshToken="rt1.x"),
    ):
        assert code(response) == (400, "BAD_REQUEST")
        assert response.json()["error"] == "This origin may not use the session's cookie."
        assert cookies_set(response) == []
    assert cookies_set(await browser.sign_in(cookie=False)) == []
    browser.origin = ORIGIN
    assert browser.cookie == before
    assert (await browser.refresh()).status_code == 200


async def test_two_origins_are_none(cookie_node: TestServer) -> None:
    browser = Browser(cookie_node)
    await browser.sign_in()
    headers = [
        *((b"host", HOST.encode()), (b"origin", ORIGIN.encode()), (b"origin", ORIGIN.encode())),
        *((b"content-type", b"application/json"), (b"cookie", browser.cookie.encode())),
    ]
    response = await cookie_node.raw("POST", "/api/refresh", headers, b"{}")
    assert response.status == 400


async def test_a_sign_in_is_refused_before_the_password_is_looked_at(
    cookie_node: TestServer,
) -> None:
    browser = Browser(cookie_node, SUBDOMAIN)
    right, wrong = await browser.sign_in(), await browser.sign_in(password="wrong")
    assert right.content == wrong.content
    assert right.status_code == 400


async def test_a_form_can_send_nothing_that_counts(browser: Browser) -> None:
    for path in ("/api/refresh", "/api/logout", "/api/login"):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            response = await browser.post(path, {}, **{"Content-Type": kind})
            assert code(response) == (415, "UNSUPPORTED_MEDIA_TYPE")
            assert cookies_set(response) == []


@pytest.mark.parametrize(
    ("host", "origin", "is_allowed"),
    [
        ("app.example", "https://app.example", True),
        ("app.example:443", "https://app.example", True),
        ("App.Example", "https://app.example", True),
        ("app.example:8443", "https://app.example:8443", True),
        ("app.example", "https://app.example:8443", False),
        ("app.example:80", "http://app.example", False),
        ("localhost:8000", "http://localhost:8000", True),
        ("localhost:8000", "https://localhost:8000", True),
        ("localhost", "http://localhost", True),
        ("127.0.0.1:80", "http://127.0.0.1", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("[::1]", "http://[::1]", True),
        ("localhost:8000", "http://localhost:9000", False),
        ("localhost.evil.example", "http://localhost.evil.example", False),
    ],
)
async def test_without_public_url_the_host_is_the_origin(
    cookie_node: TestServer, host: str, origin: str, *, is_allowed: bool
) -> None:
    response = await Browser(cookie_node, origin, host).sign_in()
    assert response.status_code == (200 if is_allowed else 400)


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        ("https://app.example", True),
        ("https://inner:8000", False),
        ("http://app.example", False),
        ("https://other.example", False),
    ],
)
@pytest.mark.parametrize("url", ["https://app.example", "https://APP.example:443/service"])
async def test_with_public_url_only_its_origin_counts(
    start: StartServer, url: str, origin: str, *, is_allowed: bool
) -> None:
    node = await start(cookies=True, public_url=url)
    response = await Browser(node, origin, "inner:8000").sign_in()
    assert response.status_code == (200 if is_allowed else 400)


async def test_pages_of_the_named_origins_use_the_cookie_with_cors(start: StartServer) -> None:
    node = await start(cookies=True, cors_origins=["https://www.app.example"])
    browser = Browser(node, "https://www.app.example")
    for response in (await browser.sign_in(), await browser.refresh(), await browser.sign_out()):
        assert response.is_success
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["access-control-allow-origin"] == "https://www.app.example"
        assert "Origin" in response.headers["vary"]
    refused = await Browser(node, SUBDOMAIN).sign_in()
    assert "access-control-allow-origin" not in refused.headers


async def test_without_cookies_no_credentials_are_allowed(start: StartServer) -> None:
    node = await start(cors_origins=["https://www.app.example"])
    preflight = {"Origin": "https://www.app.example", "Access-Control-Request-Method": "POST"}
    responses = (
        await node.http.options("/api/refresh", headers=preflight),
        await Browser(node, "https://www.app.example").sign_in(cookie=False),
    )
    assert all("access-control-allow-credentials" not in one.headers for one in responses)


async def test_the_advice_is_logged_once_and_quotes_nothing(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser.origin = SUBDOMAIN
    for _ in range(3):
        await browser.refresh()
    advice = [one.getMessage() for one in caplog.records if "public_url" in one.getMessage()]
    assert len(advice) == 1
    assert "cors_origins" in advice[0]
    assert SUBDOMAIN not in caplog.text
    assert browser.token not in caplog.text


async def test_no_log_line_shows_the_cookie(
    cookie_node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = Browser(cookie_node)
    await browser.sign_in()
    seen = [browser.token]
    await browser.refresh()
    seen.append(browser.token)
    await browser.refresh(refreshToken=5)
    await browser.sign_out()
    assert all(token not in caplog.text for token in seen)


# -- Settings and applications -----------------------------------------------------------------


def test_cookies_need_refresh_tokens() -> None:
    with pytest.raises(SettingsError, match="Cookies hold the refresh token"):
        load_settings(cookies=True, refresh=False)


def test_cookies_need_https() -> None:
    with pytest.raises(SettingsError, match="https"):
        load_settings(cookies=True, public_url="http://app.example")
    assert load_settings(cookies=True, public_url="http://localhost:8000").cookies


class OneUser:
    """An application's own users: ada."""

    async def authenticate(self, username: str, password: str, **_: Any) -> User | None:
        return await self.find(username) if password else None

    async def find(self, user_id: str) -> User | None:
        return User(user_id, user_id)


async def test_an_application_sets_the_cookie_where_it_opens_a_session(
    make_settings: Callable[..., Settings],
) -> None:
    auth = Auth(make_settings(cookies=True), users=OneUser())

    async def enter(request: Request) -> Response:
        response = Response(media_type="application/json")
        tokens = await auth.open_session(User("ada", "ada"), request, response=response)
        assert "refreshToken" not in tokens
        return JSONResponse(tokens, headers=dict(response.headers.items()))

    app = Starlette(routes=[Route("/enter", enter, methods=["POST"])], lifespan=auth.lifespan)
    auth.install(app, prefix="/auth")
    async with app.router.lifespan_context(app):
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN)
        response = await http.post("/enter", headers={"Origin": ORIGIN})
        assert response.headers["set-cookie"].startswith(f"{NAME}=rt1.")
        assert response.headers["cache-control"] == "no-store"
        # The cookie jar is that of httpx, which sends it by itself.
        response = await http.post("/auth/refresh", json={}, headers={"Origin": ORIGIN})
        assert response.status_code == 200
        refused = await http.post("/enter", headers={"Origin": SUBDOMAIN})
        assert code(refused) == (400, "BAD_REQUEST")


async def test_the_openapi_document_has_the_cookie(cookie_node: TestServer) -> None:
    document = (await cookie_node.http.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    assert schemas["Credentials"]["properties"]["cookie"]["default"] is False
    assert schemas["SignUp"]["properties"]["cookie"]["default"] is False
    assert "required" not in schemas["Refresh"]
