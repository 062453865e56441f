"""Python in workers, whose calls the page's client makes; what counts is what was sent."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from build_example import build
from tests.e2e.browser_library import FOLDER, Library
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

ME = "GET /api/me"
REFRESH = "POST /api/refresh"
GET_ME = "await outcome(client.get('/api/me'))"
TEN_OF_THEM = "await asyncio.gather(*(outcome(client.get('/api/me')) for _ in range(10)))"
WAIT = "connect_sync().get('/api/me').status_code"
BLOCK = """
answer = asyncio.Future()
def block(*_):
    try: answer.set_result(connect_sync().get('/api/me').status_code)
    except Exception as error: answer.set_result([type(error).__name__, str(error)])
js.setTimeout(create_proxy(block), 0)  # From here nothing can switch stacks.
await answer
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
        window.asked = true;
        return new Promise(() => signal.addEventListener("abort", () => { window.gaveUp = true; }));
    };
}"""
SPY = """
window.crossed = [];
const legible = (_, value) =>
    ArrayBuffer.isView(value) ? new TextDecoder().decode(value) : value;
for (const kind of [MessagePort, Worker]) {
    const post = kind.prototype.postMessage;
    kind.prototype.postMessage = function (data, ...more) {
        crossed.push(JSON.stringify(data, legible));
        return post.call(this, data, ...more);
    };
}
"""


class Workers(Library):
    """The library in a page, and two workers beside it."""

    def run_in(self, name: str, source: str) -> Any:
        """Run Python in a worker; return the value of its last line."""
        return json.loads(self.page.evaluate(IN_WORKER, [name, f"{source}\n"]))

    def wait_for(self, name: str) -> None:
        """Wait until a worker has run its script."""
        self.page.evaluate("id => document.getElementById(id).xworker.ready.then(() => true)", name)


IN_WORKER = "([id, source]) => document.getElementById(id).xworker.sync.run(source)"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of a worker, with the tests' own code on its two sides."""
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
    """The page and its workers, started once: each test gets a client of its own."""
    return opened(context_of(backend.url).new_page())


@pytest.fixture
def context(browser_library: Workers) -> BrowserContext:
    """The browser context of the one page."""
    return browser_library.page.context


@pytest.fixture
def workers(browser_library: Workers, watch: Watch) -> Workers:
    """A page that serves its workers, where somebody is signed in; nothing before this counts."""
    browser_library.reset()
    browser_library.run(SERVE)
    browser_library.sign_in()
    watch.sent.clear()
    return browser_library


@pytest.fixture
def outdated(workers: Workers, backend: ServerProcess) -> Workers:
    """The same, with an access token that has expired, which only the server knows."""
    workers.reopen(accessToken=backend.expired(workers.record["accessToken"]))
    workers.run(SERVE)
    return workers


def test_a_workers_call_is_renewed_by_the_page(outdated: Workers, watch: Watch) -> None:
    """The worker sees the 200 of the second attempt; the page made one refresh."""
    assert outdated.run_in("first", GET_ME) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]
    assert outdated.run("client.state") == "active"


def test_the_calls_of_two_workers_share_one_refresh(outdated: Workers, watch: Watch) -> None:
    """However many calls of however many workers find the token expired, it is renewed once."""
    sources = [["first", TEN_OF_THEM], ["second", TEN_OF_THEM]]
    texts = outdated.page.evaluate(f"all => Promise.all(all.map({IN_WORKER}))", sources)
    assert [json.loads(text) for text in texts] == [[200] * 10] * 2
    assert watch.count(REFRESH) == 1


def test_no_part_of_a_token_crosses_or_is_in_the_worker(outdated: Workers) -> None:
    """Neither what the page posts, before and after a renewal, nor the worker's memory has any."""
    page, tokens = outdated.page, secrets(outdated)
    page.evaluate("crossed.length = 0")
    reply = outdated.run_in("first", "kept = await client.get('/api/me')\nkept.json()")
    tokens |= secrets(outdated)
    crossed = page.evaluate("crossed.join()")
    assert reply["id"] in crossed
    assert found(tokens, crossed) == []
    # A copy is searched, for the memory itself holds whatever is searched for.
    outdated.run_in("first", COPY)
    needles = [*tokens, reply["id"]]
    assert outdated.run_in("first", FOUND.format(needles)) == [reply["id"]]


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        ("await client.sign_out()", ["NotSignedIn", {}]),
        ("await client.refresh()", 200),
    ],
)
def test_a_worker_follows_the_pages_session(
    workers: Workers, arrange: str, expected: object
) -> None:
    """What the page does to its session holds for the next call of each worker."""
    workers.run(f"{arrange}\nNone")
    for name in ("first", "second"):
        assert kind(workers.run_in(name, GET_ME)) == expected


def test_errors_arrive_as_what_they_are(workers: Workers, context: BrowserContext) -> None:
    """No answer, an end that the server told of, and a call that cannot be sent stay apart."""
    context.set_offline(offline=True)
    assert kind(workers.run_in("first", GET_ME)) == ["Unreachable", {"retry_after": None}]
    context.set_offline(offline=False)
    bad = "await outcome(client.get('/two words'))"
    assert kind(workers.run_in("first", bad))[0] == "ValueError"
    refusal = {"error": "Over.", "code": "REFRESH_EXPIRED"}
    workers.page.route("**/api/refresh", lambda route: route.fulfill(status=401, json=refusal))
    workers.reopen(expiresAt=time.time() - 1)
    workers.run(SERVE)
    assert kind(workers.run_in("first", GET_ME)) == ["SessionExpired", {"code": "REFRESH_EXPIRED"}]


def test_a_body_and_a_reply_cross_whole(workers: Workers, watch: Watch, text: str) -> None:
    """What a worker posts comes back as it was, and went out with the page's idempotency key."""
    source = f"(await client.post('/api/notes', json={{'text': {text!r} + 'ü'}})).json()['text']"
    assert workers.run_in("first", source) == f"{text}ü"
    (sent,) = watch.calls("POST /api/notes")
    assert "idempotency-key" in sent.headers


def test_a_call_that_nobody_waits_for_is_given_up(workers: Workers) -> None:
    """A worker that cancels its call ends the page's request, too."""
    page = workers.page
    page.evaluate(HANG)
    workers.run_in("first", "early = asyncio.ensure_future(client.get('/api/me'))\n1")
    page.wait_for_function("window.asked")
    workers.run_in("first", "early.cancel()\n1")
    page.wait_for_function("window.gaveUp")
    page.evaluate("() => { window.fetch = window.realFetch; }")


def test_a_worker_may_ask_before_the_page_serves(browser_library: Workers, watch: Watch) -> None:
    """A call that comes too early waits until the page is there; nothing is lost."""
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


def test_sync_code_in_a_worker_waits_without_headers(
    outdated: Workers, watch: Watch, browser_name: str
) -> None:
    """Where the engine can switch stacks, a sync call is renewed like any other."""
    if browser_name != "chromium":
        pytest.skip("This engine cannot switch stacks.")
    assert outdated.run_in("first", WAIT) == 200
    assert [sent.call for sent in watch.sent] == [ME, REFRESH, ME]


def test_sync_code_that_cannot_wait_says_what_it_needs(workers: Workers, watch: Watch) -> None:
    """In an engine without JSPI, on a page without the headers, nothing is sent."""
    name, sentence = workers.run_in("first", BLOCK)
    assert name == "RuntimeError"
    assert "COOP and COEP" in sentence
    assert watch.sent == []


def test_the_page_is_closed_to_its_workers(workers: Workers) -> None:
    """Without the headers a worker reaches neither the page's storage nor its document."""
    source = "import pyscript\n[hasattr(js, 'localStorage'), type(pyscript.window).__name__]"
    assert workers.run_in("first", source) == [False, "NotSupported"]


def test_sync_code_blocks_in_an_isolated_page(
    browser_library: Workers, backend: ServerProcess, watch: Watch
) -> None:
    """With the headers any engine waits: the worker is held up, the page is not."""
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
    assert isolated.run_in("second", TEN_OF_THEM) == [200] * 10


def isolate(route: Route) -> None:
    """Send the page with the headers that isolate it."""
    reply = route.fetch()
    policy = {"cross-origin-embedder-policy": "require-corp"}
    route.fulfill(response=reply, headers={**reply.headers, **policy})


def opened(page: Page) -> Workers:
    """Open the page, and wait until both workers run."""
    page.add_init_script(SPY)
    workers = Workers(page, "/")
    for name in ("first", "second"):
        workers.wait_for(name)
    return workers


def secrets(workers: Workers) -> set[str]:
    """Every part of the tokens that are stored, but for what is the same in all of them."""
    record = workers.record
    return {*record["accessToken"].split(".")[1:], record["refreshToken"].split(".")[1]}


def found(tokens: set[str], text: str) -> list[str]:
    return [token for token in tokens if token in text]


def kind(outcome: Any) -> Any:
    """The outcome without the sentence of its error."""
    return [outcome[0], outcome[2]] if isinstance(outcome, list) else outcome
