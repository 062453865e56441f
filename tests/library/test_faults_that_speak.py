"""Mistakes in the settings, each made as a new user would, and what ``diagnose()`` shows."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.library.conftest import NOW
from tests.library.test_async_client import Page
from tests.library.test_sync_client import Program
from tests.support.fake_server import (
    API,
    AsyncFakeServer,
    Respond,
    error_response,
    json_response,
    make_token,
    token_fields,
)
from unexpired import (
    AsyncClient,
    BadReply,
    Client,
    Dialect,
    Headers,
    Request,
    Response,
    UnexpiredError,
    Unreachable,
)
from unexpired.desktop.urllib import UrllibTransport
from unexpired.hints import network_hint, skew_hint

PAGE = Response(200, Headers({"content-type": "text/html"}), b"<!doctype html><title>Notes</title>")
MISSING = Response(404, Headers({"content-type": "text/html"}), b"<h1>Not Found</h1>")


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def program() -> Program:
    return Program()


def respond_with(response: Response) -> Respond:
    return lambda _: response


def lose(_request: Request) -> Response:
    raise Unreachable


def notes(error: BaseException) -> str:
    return " ".join(getattr(error, "__notes__", []))


async def hint_for_sign_in(page: Page, response: Response, **options: Any) -> tuple[type, str]:
    """Sign in with this response; return the error's type, and its hint."""
    client = page.open(**options)
    path = options.get("login_path", "/api/login")
    page.server.responses[path] = respond_with(response)
    with pytest.raises(UnexpiredError) as raised:
        await client.sign_in("ada", "a-secret-password")
    return type(raised.value), notes(raised.value)


# -- A wrong dialect -------------------------------------------------------------------------------

T = make_token()
ACCESS = {"access_token": T}
OAUTH, FLASK = "Dialect.oauth()", "Dialect.flask_jwt_extended()"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("dialect", "fields", "fitting"),
    [
        (Dialect(), {**ACCESS, "refresh_token": "r", "token_type": "Bearer"}, OAUTH),
        (Dialect(), {**ACCESS, "refresh_token": "r"}, FLASK),
        (Dialect(), {**ACCESS, "token_type": "bearer"}, f"Dialect.fastapi_users() or {OAUTH}"),
        (Dialect(), {"access": T, "refresh": "r"}, "Dialect.simplejwt()"),
        (Dialect.oauth(), token_fields(), "Dialect()"),
        (Dialect.simplejwt(), {**ACCESS, "refresh_token": "r"}, FLASK),
    ],
)
async def test_the_names_in_a_response_show_which_dialect_fits(
    page: Page, dialect: Dialect, fields: dict[str, Any], fitting: str
) -> None:
    """The sign-in succeeded, so the server is not unreachable."""
    kind, hint = await hint_for_sign_in(page, json_response(200, fields), dialect=dialect)
    assert kind is BadReply
    assert f"dialect={fitting}." in hint
    assert T not in hint


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"token": T}, "token"), ({"data": {"accessToken": T}}, "data.accessToken")],
)
async def test_a_token_under_another_name_is_pointed_out(
    page: Page, fields: dict[str, Any], path: str
) -> None:
    _, hint = await hint_for_sign_in(page, json_response(200, fields))
    assert f'Dialect(access_token="{path}") would read {path}.' in hint
    assert T not in hint


async def test_a_refresh_in_another_dialect_is_named_too(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    page.server.responses["/api/refresh"] = respond_with(json_response(200, {"access": T}))
    with pytest.raises(Unreachable):
        await page.client.refresh()
    (failure,) = page.client.diagnose()["last_failures"]
    assert "Dialect.simplejwt()" in failure["reason"]


# -- A wrong path or address -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405])
async def test_a_wrong_login_path_is_named_with_its_url(page: Page, status: int) -> None:
    kind, hint = await hint_for_sign_in(page, Response(status), login_path="/auth/login")
    assert kind is BadReply
    assert f"login_path is '/auth/login', so the request went to {API}/auth/login" in hint
    assert f"({status})" in hint


@pytest.mark.parametrize("status", [404, 405])
async def test_a_wrong_refresh_path_is_named_with_its_url(page: Page, status: int) -> None:
    """The session is kept: it is the program that is wrong."""
    client = page.open(refresh_path="/auth/refresh")
    await client.sign_in("ada", "pw")
    page.server.responses["/auth/refresh"] = respond_with(Response(status))
    with pytest.raises(Unreachable) as raised:
        await client.refresh()
    assert f"refresh_path is '/auth/refresh', so the request went to {API}/auth/refresh" in notes(
        raised.value
    )
    assert client.state == "degraded"


async def test_a_page_in_place_of_the_tokens_is_named(page: Page) -> None:
    """As from a front end that sends its index.html for any path, or a captive portal."""
    kind, hint = await hint_for_sign_in(page, PAGE)
    assert kind is Unreachable
    assert f"{API}/api/login sent no JSON. It is an HTML page" in hint


async def test_the_base_url_of_a_server_of_pages_is_suspected(page: Page) -> None:
    _, hint = await hint_for_sign_in(page, MISSING)
    assert "It sent an HTML page: base_url may be the address of a page." in hint


async def test_a_page_in_place_of_data_is_named_when_it_is_read(page: Page) -> None:
    page.server.responses["/api/notes"] = respond_with(PAGE)
    response = await page.client.get("/api/notes", auth=False)
    with pytest.raises(BadReply, match="response is not JSON") as raised:
        response.json()
    assert "It is an HTML page" in notes(raised.value)


async def test_a_refusal_that_the_dialect_does_not_know_is_named(page: Page) -> None:
    """As of a server that refuses the page's origin, or has codes of its own."""
    await page.client.sign_in("ada", "pw")
    page.server.responses["/api/refresh"] = respond_with(error_response(403, "BAD_ORIGIN"))
    with pytest.raises(Unreachable) as raised:
        await page.client.refresh()
    assert "a 403 that the dialect does not know as a refusal" in notes(raised.value)
    assert "may refuse that origin" in notes(raised.value)


@pytest.mark.parametrize(
    "response",
    [error_response(401, "BAD_CREDENTIALS"), error_response(429, "RATE_LIMITED"), Response(503)],
)
async def test_what_is_no_mistake_of_a_developers_has_no_hint(
    page: Page, response: Response
) -> None:
    _, hint = await hint_for_sign_in(page, response)
    assert hint == ""


async def test_a_mistake_is_logged_once_and_never_with_a_secret(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await hint_for_sign_in(page, json_response(200, {"access_token": T}))
        page.client = page.open()
    client = page.open()
    for _ in range(3):
        with pytest.raises(BadReply):
            await client.sign_in("ada", "a-secret-password")
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 4  # Once for each client.
    assert not any(secret in caplog.text for secret in (T, "a-secret-password"))


@pytest.mark.parametrize("response", [PAGE, Response(204), json_response(200, {"a": 1})])
async def test_what_any_network_may_answer_is_not_logged_as_a_mistake(
    page: Page, response: Response, caplog: pytest.LogCaptureFixture
) -> None:
    """A hotel's page is nothing that an operator must know."""
    await page.client.sign_in("ada", "pw")
    page.server.responses["/api/refresh"] = respond_with(response)
    with pytest.raises(Unreachable):
        await page.client.refresh()
    assert caplog.text == ""
    assert len(page.client.diagnose()["last_failures"]) == 1


# -- The network -----------------------------------------------------------------------------------

HOME = "https://notes.example/app"


def silence(url: str, **headers: str) -> Request:
    return Request(
        "POST", url, Headers({name.replace("_", "-"): headers[name] for name in headers})
    )


def test_an_offline_device_is_the_reason_before_any_other() -> None:
    hint = network_hint(silence(f"{API}/x"), page_url=HOME, is_online=False)
    assert hint == "The browser says that this device is offline."


def test_another_origin_may_be_a_matter_of_cors_and_the_headers_are_named() -> None:
    request = silence(f"{API}/x?secret", authorization="Bearer a-secret", idempotency_key="k")
    hint = network_hint(request, page_url=HOME, is_online=True)
    assert f"{API} is another origin" in hint
    assert "do not allow the origin https://notes.example, or the headers Authorization" in hint
    assert "Idempotency-Key" in hint
    assert "secret" not in hint


def test_http_from_a_page_of_https_is_mixed_content() -> None:
    hint = network_hint(silence("http://api.example/x"), page_url=HOME, is_online=True)
    assert "mixed content" in hint


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_the_own_machine_is_no_mixed_content(host: str) -> None:
    hint = network_hint(silence(f"http://{host}:8000/x"), page_url=HOME, is_online=True)
    assert "mixed content" not in hint


@pytest.mark.parametrize("page_url", [HOME, ""])
def test_the_pages_own_origin_and_a_program_have_no_such_hint(page_url: str) -> None:
    request = silence("https://notes.example/api/x")
    assert network_hint(request, page_url=page_url, is_online=True) == ""


class ProbingServer(AsyncFakeServer):
    """A server of another origin as a page sees it: no response, perhaps because of CORS."""

    responds = True
    probed: list[str]

    async def send(self, request: Request) -> Response:
        error = Unreachable()
        error.add_note(network_hint(request, page_url=HOME, is_online=True))
        raise error

    async def probe(self, url: str) -> bool:
        self.probed.append(url)
        return self.responds


RESPONDS, SILENT = "CORS rules may not allow", "does not respond to this page at all"


@pytest.mark.parametrize("says", [RESPONDS, SILENT])
async def test_examine_finds_out_whether_it_is_cors(page: Page, says: str) -> None:
    server = ProbingServer(page.clock)
    server.responds, server.probed = says is RESPONDS, []
    client = AsyncClient(server, clock=page.clock, base_url=API, page_url=HOME)
    for path in ("/a?secret", "/b"):
        with pytest.raises(Unreachable):
            await client.get(path, auth=False)
    assert server.probed == []  # A request waits for no probe.
    for _ in range(2):
        failures = (await client.examine())["last_failures"]
        assert [failure["url"] for failure in failures] == [f"{API}/a", f"{API}/b"]
        assert all(says in failure["reason"] for failure in failures)
    assert server.probed == [f"{API}/"]


async def test_examine_is_diagnose_where_nothing_can_be_probed(page: Page) -> None:
    page.server.responses["/x"] = lose
    with pytest.raises(Unreachable):
        await page.client.get("/x", auth=False)
    assert await page.client.examine() == page.client.diagnose()


@pytest.mark.parametrize(("skew", "side"), [(3600.0, "behind"), (-3600.0, "ahead of")])
async def test_a_clock_that_is_wrong_by_an_hour_is_named(
    page: Page, skew: float, side: str
) -> None:
    page.clock.wall = NOW - skew
    page.server.responses["/api/login"] = respond_with(json_response(200, token_fields(now=NOW)))
    await page.client.sign_in("ada", "pw")
    (hint,) = page.client.diagnose()["hints"]
    assert f"This device's clock is 3600 s {side} the server's." in hint


@pytest.mark.parametrize("skew", [None, 0.0, 299.0, -299.0])
def test_a_clock_that_is_good_enough_is_not_mentioned(skew: float | None) -> None:
    assert skew_hint(skew) == ""


# -- The last failures -----------------------------------------------------------------------------


async def test_a_failed_call_is_among_the_last_failures(page: Page) -> None:
    url = "https://ada:pw@api.example/api/notes/7?token=secret#secret"
    page.server.responses[url.removeprefix(API)] = respond_with(error_response(500, "SERVER_ERROR"))
    flow = page.client._manager.policy.call(Request("GET", url, auth=False))  # noqa: SLF001
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(error_response(500, "SERVER_ERROR"))
    (failure,) = page.client.diagnose()["last_failures"]
    assert failure == {
        "method": "GET",
        "url": f"{API}/api/notes/7",
        "status": 500,
        "code": "SERVER_ERROR",
        "reason": "The server responded with 500 and the code SERVER_ERROR.",
        "at": "2027-01-15T08:00:00.000+00:00",
    }
    assert datetime.fromisoformat(failure["at"]).timestamp() == NOW


async def test_a_success_is_no_failure(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    await page.client.get("/api/notes")
    await page.client.refresh()
    assert page.client.diagnose()["last_failures"] == []


async def test_calls_refreshes_and_sign_ins_fail_in_order_and_ten_are_kept(page: Page) -> None:
    client = page.open(refresh_timeout=0.05)
    await client.sign_in("ada", "pw")
    for path in ("/api/login", "/api/refresh", "/api/notes"):
        page.server.responses[path] = respond_with(Response(503))
    for _ in range(12):
        await client.get("/api/notes")
    with pytest.raises(Unreachable):
        await client.refresh()
    with pytest.raises(Unreachable):
        await client.sign_in("ada", "pw")
    failures = client.diagnose()["last_failures"]
    assert len(failures) == 10
    assert [failure["url"].removeprefix(API) for failure in failures[-3:]] == [
        "/api/notes",
        "/api/refresh",
        "/api/login",
    ]


def test_the_sync_client_has_the_same_failures(program: Program) -> None:
    program.server.responses["/api/login"] = respond_with(error_response(401, "BAD_CREDENTIALS"))
    with pytest.raises(UnexpiredError):
        program.client.sign_in("ada", "pw")
    program.server.responses["/x"] = lose
    with pytest.raises(Unreachable):
        program.client.get("/x", auth=False)
    first, second = program.client.diagnose()["last_failures"]
    assert (first["status"], first["code"]) == (401, "BAD_CREDENTIALS")
    assert (second["status"], second["code"]) == (None, None)
    assert second["reason"] == "No response came: there was no connection, or it took too long."


def test_a_call_that_takes_too_long_is_noted(program: Program) -> None:
    def stall(_request: Request) -> Response:
        program.clock.advance(60)
        return error_response(401, "TOKEN_EXPIRED")

    program.client.sign_in("ada", "pw")
    program.server.responses["/x"] = stall
    with pytest.raises(Unreachable):
        program.client.get("/x")
    assert [one["status"] for one in program.client.diagnose()["last_failures"]] == [401, None]


def test_the_systems_own_reason_is_shown() -> None:
    client = Client(UrllibTransport(), base_url="http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        client.get("/x", auth=False)
    (failure,) = client.diagnose()["last_failures"]
    assert failure["reason"] == "The connection failed: Connection refused."


def test_a_request_of_httpx_is_noted_as_well(program: Program) -> None:
    program.client.sign_in("ada", "pw")
    transport = httpx.MockTransport(lambda _: httpx.Response(403, json={"code": "FORBIDDEN"}))
    with httpx.Client(transport=transport, auth=program.client.httpx_auth()) as http:
        http.get(f"{API}/api/orders?secret=1")
    (failure,) = program.client.diagnose()["last_failures"]
    assert (failure["url"], failure["code"]) == (f"{API}/api/orders", "FORBIDDEN")


@pytest.mark.parametrize("code", [T, "ada lovelace", "", 7])
def test_a_code_that_is_none_is_not_shown(program: Program, code: object) -> None:
    """A server may put anything there."""
    program.server.responses["/x"] = respond_with(json_response(400, {"code": code}))
    program.client.get("/x", auth=False)
    (failure,) = program.client.diagnose()["last_failures"]
    assert failure["code"] is None
    assert failure["reason"] == "The server responded with 400."


async def test_a_failure_can_be_written_as_json_and_changed_by_nobody(page: Page) -> None:
    page.clock.wall = 1e300  # As a device's clock may say.
    page.server.responses["/x"] = respond_with(Response(500))
    await page.client.get("/x", auth=False)
    failure = page.client.diagnose()["last_failures"][0]
    assert json.loads(json.dumps(failure)) == failure
    failure["url"] = "changed"
    assert page.client.diagnose()["last_failures"][0]["url"] == f"{API}/x"


async def test_each_response_is_logged_at_debug_without_its_query(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unexpired")
    await page.client.sign_in("ada", "a-secret")
    await page.client.get("/api/notes", params={"q": "a-secret"})
    assert [one.getMessage() for one in caplog.records if one.name == "unexpired"] == [
        f"POST {API}/api/login: 200",
        f"GET {API}/api/notes: 200",
    ]
