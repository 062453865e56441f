"""Workers, whose calls the page's client makes, judged by the requests that are sent."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from build_example import build
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support.library_page import FOLDER
from tests.support.server_process import ServerProcess

ME = "GET /api/me"
REFRESH = "POST /api/refresh"
GET_ME = "await outcome(client.get('/api/me'))"
TEN_CALLS = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(10)))"
WAIT = "connect_sync().get('/api/me').status_code"
BLOCK = """
outcome = asyncio.Future()
def block(*_):
    try: outcome.set_result(connect_sync().get('/api/me').status_code)
    except Exception as error: outcome.set_result([type(error).__name__, str(error)])
js.setTimeout(create_proxy(block), 0)  # JSPI cannot switch stacks in a timer's callback.
await outcome
"""
COPY = """
import pyodide_js
js.memory = pyodide_js._module.HEAPU8.slice()
None
"""
FOUND = """
find = js.Function.new("needles", "const text = new TextDecoder('latin1').decode(memory);" +
                       "return needles.filter(needle => text.includes(needle))")
find(to_js({})).to_py()
"""
SERVE = """
from unexpired.browser.worker import serve
for js_worker in js.document.querySelectorAll("script[worker]"):
    serve(client, js_worker.xworker.sync)
"""
EARLY = """
from unexpired.browser.worker import _connection
_connection()._is_served.clear()
early = asyncio.ensure_future(client.get('/api/me'))
await asyncio.sleep(0)
early.done()
"""
HANG = """() => {
    window.realFetch = fetch;
    window.fetch = (_, { signal }) => {
        window.requested = true;
        return new Promise(() => {
            signal.addEventListener("abort", () => { window.aborted = true; });
        });
    };
}"""
SPY = """
window.posted = [];
const legible = (_, value) =>
    ArrayBuffer.isView(value) ? new TextDecoder().decode(value) : value;
for (const kind of [MessagePort, Worker]) {
    const post = kind.prototype.postMessage;
    kind.prototype.postMessage = function (data, ...more) {
        posted.push(JSON.stringify(data, legible));
        return post.call(this, data, ...more);
    };
}
"""


class Workers(Library):
    """The library in a page with two workers."""

    def run_in(self, name: str, source: str) -> Any:
        """Run Python in a worker; return the value of its last line."""
        return json.loads(self.page.evaluate(IN_WORKER, [name, f"{source}\n"]))

    def wait_for(self, name: str) -> None:
        """Wait until a worker has run its script."""
        self.page.evaluate("id => document.getElementById(id).xworker.ready.then(() => true)", name)


IN_WORKER = "([id, source]) => document.getElementById(id).xworker.sync.run(source)"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker example, with the tests' code in the page and in the workers."""
    target = tmp_path_factory.mktemp("workers") / "page"
    build("worker", target)
    workers = FOLDER.with_name("workers")
    shutil.copy(workers / "index.html", target)
    shutil.copy(workers / "worker.py", target / "app")
    shutil.copy(FOLDER / "library.py", target / "app" / "main.py")
    return target


@pytest.fixture(scope="session")
def backend(serve: Any, folder: Path) -> ServerProcess:
    started: ServerProcess = serve(page_dir=str(folder))
    return started


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, backend: ServerProcess) -> Workers:
    """The page and its workers, started once; each test opens a new client."""
    return opened(context_of(backend.url).new_page())


@pytest.fixture
def context(browser_library: Workers) -> BrowserContext:
    """The browser context of the page."""
    return browser_library.page.context


@pytest.fixture
def workers(browser_library: Workers, watch: Watch) -> Workers:
    """A page that is signed in and serves its workers; requests so far are forgotten."""
    browser_library.reset()
    browser_library.run(SERVE)
    browser_library.sign_in()
    watch.sent.clear()
    return browser_library


@pytest.fixture
def outdated(workers: Workers, backend: ServerProcess) -> Workers:
    """The same, with an access token that has expired without the client knowing."""
    workers.reopen(accessToken=backend.expired(workers.record["accessToken"]))
    workers.run(SERVE)
    return workers


def test_the_page_refreshes_the_token_for_a_workers_call(outdated: Workers, watch: Watch) -> None:
    """The worker gets the 200 of the second attempt."""
    assert outdated.run_in("first", GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert outdated.run("client.state") == "active"


def test_the_calls_of_two_workers_share_one_refresh(outdated: Workers, watch: Watch) -> None:
    """All twenty calls find the token expired."""
    sources = [["first", TEN_CALLS], ["second", TEN_CALLS]]
    texts = outdated.page.evaluate(f"all => Promise.all(all.map({IN_WORKER}))", sources)
    assert [json.loads(text) for text in texts] == [[200] * 10] * 2
    assert watch.count(REFRESH) == 1


def test_no_part_of_a_token_reaches_a_worker(outdated: Workers) -> None:
    """Neither the page's messages nor the worker's memory hold one, before and after a refresh."""
    page, tokens = outdated.page, secrets(outdated)
    page.evaluate("posted.length = 0")
    response = outdated.run_in("first", "kept = await client.get('/api/me')\nkept.json()")
    tokens |= secrets(outdated)
    posted = page.evaluate("posted.join()")
    assert response["id"] in posted
    assert found(tokens, posted) == []
    # Search a copy: the memory itself contains the needles of the search.
    outdated.run_in("first", COPY)
    needles = [*tokens, response["id"]]
    assert outdated.run_in("first", FOUND.format(needles)) == [response["id"]]


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        ("await client.sign_out()", ["NotSignedIn", {"request": ME}]),
        ("await client.refresh()", 200),
    ],
)
def test_workers_share_the_pages_session(workers: Workers, arrange: str, expected: object) -> None:
    """A sign-out or a refresh in the page applies to the next call of each worker."""
    workers.run(f"{arrange}\nNone")
    for name in ("first", "second"):
        assert kind(workers.run_in(name, GET_ME)) == expected


def test_errors_keep_their_type_and_attributes(workers: Workers, context: BrowserContext) -> None:
    """An outage, the end of the session, and a call that cannot be sent."""
    context.set_offline(offline=True)
    assert kind(workers.run_in("first", GET_ME)) == ["Unreachable", {"request": ME}]
    context.set_offline(offline=False)
    bad = "await outcome(client.get('/two words'))"
    assert kind(workers.run_in("first", bad))[0] == "ValueError"
    refusal = {"error": "Over.", "code": "REFRESH_EXPIRED"}
    workers.page.route("**/api/refresh", lambda route: route.fulfill(status=401, json=refusal))
    workers.reopen(expiresAt=time.time() - 1)
    workers.run(SERVE)
    expired = ["SessionExpired", {"code": "REFRESH_EXPIRED", "request": ME}]
    assert kind(workers.run_in("first", GET_ME)) == expired


def test_bodies_pass_between_worker_and_page_unchanged(
    workers: Workers, watch: Watch, text: str
) -> None:
    """A worker's POST has an idempotency key, which the page adds."""
    source = f"(await client.post('/api/notes', json={{'text': {text!r} + 'ü'}})).json()['text']"
    assert workers.run_in("first", source) == f"{text}ü"
    (sent,) = watch.calls("POST /api/notes")
    assert "idempotency-key" in sent.headers


def test_cancelling_a_workers_call_aborts_the_request(workers: Workers) -> None:
    """The page aborts its ``fetch``."""
    page = workers.page
    page.evaluate(HANG)
    workers.run_in("first", "early = asyncio.ensure_future(client.get('/api/me'))\n1")
    page.wait_for_function("window.requested")
    workers.run_in("first", "early.cancel()\n1")
    page.wait_for_function("window.aborted")
    page.evaluate("() => { window.fetch = window.realFetch; }")


def test_a_call_before_the_page_serves_waits(browser_library: Workers, watch: Watch) -> None:
    """It is sent once the page serves the worker."""
    browser_library.reset()
    browser_library.sign_in()
    watch.sent.clear()
    browser_library.page.evaluate(
        "for (const name of ['hello', 'ask']) first.xworker.sync[`unexpired_${name}`] = undefined"
    )
    assert browser_library.run_in("first", EARLY) is False
    browser_library.run(SERVE)
    assert browser_library.run_in("first", "(await early).status_code") == 200
    assert watch.count(ME) == 1


def test_a_sync_call_in_a_worker_works_with_jspi(
    outdated: Workers, watch: Watch, browser_name: str
) -> None:
    """It is refreshed and retried like an async call, without COOP and COEP headers."""
    if browser_name != "chromium":
        pytest.skip("This browser has no JSPI.")
    assert outdated.run_in("first", WAIT) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]


def test_a_sync_call_without_jspi_or_isolation_raises_runtime_error(
    workers: Workers, watch: Watch
) -> None:
    """The message names the missing headers; nothing is sent."""
    name, message = workers.run_in("first", BLOCK)
    assert name == "RuntimeError"
    assert "COOP and COEP" in message
    assert watch.sent == []


def test_workers_cannot_access_the_page(workers: Workers) -> None:
    """Without the headers a worker reaches neither the page's storage nor its document."""
    source = "import pyscript\n[hasattr(js, 'localStorage'), type(pyscript.window).__name__]"
    assert workers.run_in("first", source) == [False, "NotSupported"]


def test_a_sync_call_in_an_isolated_page_blocks_the_worker(
    browser_library: Workers, backend: ServerProcess, watch: Watch
) -> None:
    """With the headers it works in every browser; the page is not blocked."""
    page = browser_library.page.context.new_page()
    page.route(f"{backend.url}/", isolate)
    isolated = opened(page)
    isolated.reset()
    isolated.run(SERVE)
    isolated.sign_in()
    isolated.reopen(accessToken=backend.expired(isolated.record["accessToken"]))
    isolated.run(SERVE)
    watch.sent.clear()
    assert isolated.run_in("first", BLOCK) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert isolated.run_in("second", TEN_CALLS) == [200] * 10


def isolate(route: Route) -> None:
    """Serve the page with the headers that isolate it."""
    response = route.fetch()
    policy = {"cross-origin-embedder-policy": "require-corp"}
    route.fulfill(response=response, headers={**response.headers, **policy})


def opened(page: Page) -> Workers:
    """Open the page, and wait until both workers run."""
    page.add_init_script(SPY)
    workers = Workers(page, "/")
    for name in ("first", "second"):
        workers.wait_for(name)
    return workers


def secrets(workers: Workers) -> set[str]:
    """Return the parts of the stored tokens, without the header, which all tokens share."""
    record = workers.record
    return {*record["accessToken"].split(".")[1:], record["refreshToken"].split(".")[1]}


def found(tokens: set[str], text: str) -> list[str]:
    return [token for token in tokens if token in text]


def kind(outcome: Any) -> Any:
    """Return the outcome without the error's message."""
    return [outcome[0], outcome[2]] if isinstance(outcome, list) else outcome
