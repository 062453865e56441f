"""Sync code, requests and httpx in a page, judged by the requests that are sent.

Called from a task or a coroutine, a sync call switches stacks (JSPI), and the page stays
responsive. Called from anywhere else, it blocks the page. Both are tested.
"""

import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS, ServerProcess

ME = "GET /api/me"
REFRESH = "POST /api/refresh"
ADD = "POST /api/notes"
PURE = (
    *("requests", "urllib3", "idna", "certifi", "charset_normalizer"),
    *("httpx", "httpcore", "h11", "anyio", "typing_extensions"),
)
ADAPTERS = ("requests.py", "httpx.py")

DEFINITIONS = """
import urllib.error, urllib.request
from pyodide.ffi import can_run_sync, create_once_callable
from unexpired import Client, UnexpiredError

sync = Client.in_browser(session_of=client)

def outcome_of(call):
    try: return call()
    except (UnexpiredError, OSError) as error: return type(error).__name__

async def switching(call):
    assert can_run_sync()
    return outcome_of(call)

async def blocking(call):
    outcome = asyncio.Future()
    def run(*_):
        try: outcome.set_result('switched' if can_run_sync() else outcome_of(call))
        except Exception as error: outcome.set_exception(error)
    js.setTimeout(create_once_callable(run), 0)
    return await outcome
"""
UNPACK = """
import io, sys, zipfile
response = await js.fetch("/packages.zip")
zipfile.ZipFile(io.BytesIO((await response.arrayBuffer()).to_bytes())).extractall(".")
import importlib
importlib.invalidate_caches()
"""
BOTH_WAYS = pytest.mark.parametrize("way", ["switching", "blocking"])


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page with requests and httpx, started once."""
    library = Library(context_of(serve().url).new_page())
    library.page.route("**/packages.zip", lambda route: route.fulfill(body=packages()))
    library.run(UNPACK)
    return library


def packages() -> bytes:
    """Return an archive of the packages, from this environment, and our adapters for them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        for path, name in files():
            content.write(path, name)
    return archive.getvalue()


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file with its name in the page."""
    for name in ADAPTERS:
        yield ROOT / "app" / "unexpired" / "adapters" / name, f"unexpired/adapters/{name}"
    for package in PURE:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        origin = Path(spec.origin)
        parts = origin.parent.rglob("*.py") if origin.stem == "__init__" else [origin]
        site = origin.parent.parent if origin.stem == "__init__" else origin.parent
        yield from ((part, str(part.relative_to(site))) for part in parts)
        if package == "certifi":
            yield origin.with_name("cacert.pem"), "certifi/cacert.pem"


@pytest.fixture
def context(browser_library: Library) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.fixture
def dpop(request: pytest.FixtureRequest) -> str:
    """Whether the session is bound; by default where sync code can wait for a signature."""
    way = getattr(request.node, "callspec", None)
    return "off" if way and way.params.get("way") == "blocking" else "auto"


@pytest.fixture
def library(browser_library: Library, watch: Watch, dpop: str) -> Iterator[Library]:
    """The library with a session, and a sync client that shares it."""
    browser_library.reset()
    browser_library.reopen(options=f"dpop={dpop!r}")
    browser_library.sign_in()
    browser_library.run(DEFINITIONS)
    watch.sent.clear()
    yield browser_library
    browser_library.page.context.set_offline(offline=False)
    # The browser logs a warning for requests that block, without their URL.
    watch.forgive("Synchronous XMLHttpRequest", "Failed to load resource")


@pytest.fixture
def outdated(library: Library, backend: ServerProcess) -> Library:
    """The same, with an access token that has expired without the client knowing."""
    expire(library, backend)
    return library


def expire(library: Library, backend: ServerProcess) -> None:
    """Replace the token by one that has expired, and open new clients."""
    library.reopen(accessToken=backend.expired(library.record["accessToken"]))
    library.run(DEFINITIONS)


@BOTH_WAYS
def test_a_sync_call_shares_the_pages_session(outdated: Library, watch: Watch, way: str) -> None:
    """An expired token is refreshed and the call retried; the page uses the new token."""
    assert outdated.run(f"await {way}(lambda: sync.get('/api/me').json()['username'])") == "ada"
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert outdated.run("events") == [["refreshed"]]
    assert outdated.run("client.diagnose()['generation']") == outdated.record["generation"] == 2
    assert outdated.run("await outcome(client.get('/api/me'))") == 200
    assert watch.count(REFRESH) == 1


@pytest.mark.parametrize("dpop", ["auto"])
def test_where_sync_code_cannot_sign_the_page_refreshes_for_it(
    library: Library, backend: ServerProcess, watch: Watch
) -> None:
    """A blocking call needs no proof while the token is valid; else the next one succeeds."""
    ask = "await blocking(lambda: sync.get('/api/me').status_code)"
    assert library.run(ask) == 200
    expire(library, backend)
    library.run("page = await client.ready()\nNone")
    with library.page.expect_response("**/api/refresh") as refreshed:
        assert library.run(ask) == "Unreachable"
    assert refreshed.value.ok
    library.page.wait_for_function("JSON.parse(localStorage.unexpired).generation === 2")
    assert library.run(ask) == 200
    assert watch.count(REFRESH) == 1


@BOTH_WAYS
def test_a_page_may_have_a_sync_client_only(library: Library, way: str) -> None:
    """Without an AsyncClient it uses the session in the browser's storage."""
    library.run("client.close()\nown_client = Client.in_browser(login_url='#/login')")
    assert library.run(f"await {way}(lambda: own_client.get('/api/me').status_code)") == 200
    assert library.run(f"await {way}(own_client.refresh)") is None
    assert library.record["generation"] == 2
    assert library.run(f"await {way}(own_client.sign_out)") is None
    assert library.record == {}


@BOTH_WAYS
def test_a_sync_sign_in_is_bound_where_it_can_wait_for_a_key(library: Library, way: str) -> None:
    """Where it blocks, there is none to sign with, which the client says."""
    library.run("client.close()\nown_client = Client.in_browser(login_url='#/login')")
    sign_in = f"own_client.sign_in('ada', {PASSWORDS['ada']!r})"
    library.run(f"await {way}(lambda: {sign_in} and None)")
    assert library.run(f"await {way}(own_client.refresh)") is None
    assert library.record["generation"] == 2
    assert bool(library.record.get("key")) == (way == "switching")
    bound, why = library.run("[own_client.diagnose()[name] for name in ('bound', 'dpop')]")
    assert bound == (way == "switching")
    assert bound or "AsyncClient" in why


@BOTH_WAYS
def test_a_sync_call_without_a_network_raises_unreachable(
    library: Library, context: BrowserContext, way: str
) -> None:
    """The session stays."""
    context.set_offline(offline=True)
    assert library.run(f"await {way}(lambda: sync.get('/api/me').status_code)") == "Unreachable"
    assert library.run("client.state") == "active"


@BOTH_WAYS
def test_sync_calls_succeed_while_the_page_refreshes(
    outdated: Library, watch: Watch, way: str
) -> None:
    """A blocking call cannot wait for the page's refresh, and does not deadlock."""
    calls = f"await asyncio.gather(outcome(client.get('/api/me')), *({way}(ask) for _ in range(5)))"
    assert outdated.run(f"ask = lambda: sync.get('/api/me').status_code\n{calls}") == [200] * 6
    if way == "switching":
        assert watch.count(REFRESH) == 1


def test_a_switching_call_does_not_block_the_page(library: Library) -> None:
    """The first call gets its response after the second, which a blocked page could not make."""
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route)
        if len(held) == 2:
            for each in reversed(held):
                each.continue_()

    library.page.route("**/api/me", hold_the_first)
    first = "asyncio.ensure_future(switching(lambda: sync.get('/api/me').status_code))"
    both = f"await asyncio.gather({first}, outcome(client.get('/api/me')))"
    assert library.run(both) == [200, 200]


def test_sync_calls_use_the_pages_own_transport(library: Library) -> None:
    """A transport that records the page's requests records these, too."""
    library.run(
        "from unexpired import AsyncClient\n"
        "class Recording:\n"
        "    seen = []\n"
        "    def send(self, request):\n"
        "        self.seen.append(request.method)\n"
        "        return client.transport.send(request)\n"
        "recorded = AsyncClient.in_browser(transport=Recording())\n"
        "beside = Client.in_browser(session_of=recorded)\n"
        "None"
    )
    assert library.run("await switching(lambda: beside.get('/api/me').status_code)") == 200
    assert library.run("recorded.close()\nRecording.seen") == ["GET"]


def test_timeout_bounds_a_switching_call(library: Library) -> None:
    """The server does not respond."""
    library.page.route("**/api/me", lambda _route: None)
    hung = "await switching(lambda: sync.get('/api/me', timeout=0.2).status_code)"
    assert library.run(hung) == "Unreachable"


@BOTH_WAYS
def test_an_installed_opener_adds_the_token_to_plain_urlopen(
    outdated: Library, watch: Watch, way: str
) -> None:
    """``urlopen`` refreshes an expired token and retries."""
    outdated.run("urllib.request.install_opener(sync.opener())")
    read = "json.load(urllib.request.urlopen('/api/me'))['username']"
    assert outdated.run(f"await {way}(lambda: {read})") == "ada"
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    missing = "urllib.request.urlopen('/api/nothing')"
    assert outdated.run(f"await {way}(lambda: {missing})") == "HTTPError"


@BOTH_WAYS
def test_requests_in_a_page(outdated: Library, watch: Watch, way: str) -> None:
    """A POST is retried after a refresh with its body and idempotency key."""
    outdated.run("import requests")
    post = "requests.post(base + '/api/notes', json={'text': 'hi'}, auth=sync.requests_auth())"
    outdated.run("base = str(js.location.origin)")
    assert outdated.run(f"await {way}(lambda: {post}.status_code)") == 201
    assert [sent.call for sent in watch.sent] == [ADD, REFRESH, ADD]
    first, second = watch.calls(ADD)
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    watch.forgive("Refused to set unsafe header", "Can't stream HTTP requests")  # urllib3's own


def test_httpx_in_a_page(outdated: Library, watch: Watch, context: BrowserContext) -> None:
    """``httpx.AsyncClient`` sends through the page's fetch and raises httpx's errors."""
    outdated.run(
        "import httpx\n"
        "http = httpx.AsyncClient(base_url=str(js.location.origin),"
        " transport=client.httpx_transport(), auth=client.httpx_auth())"
    )
    assert outdated.run("(await http.get('/api/me')).json()['username']") == "ada"
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert outdated.run("(await http.post('/api/notes', json={'text': 'hi'})).status_code") == 201
    outdated.page.route("**/api/me", lambda _route: None)
    failure = (
        "try: await http.get('/api/me', timeout=0.2)\n"
        "except httpx.HTTPError as error: problem = type(error).__name__\n"
        "problem"
    )
    assert outdated.run(failure) == "ReadTimeout"
    context.set_offline(offline=True)
    outdated.page.unroute_all()
    assert outdated.run(failure) == "ConnectError"
