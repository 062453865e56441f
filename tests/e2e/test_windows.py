"""The windows that people sign in at their provider in, judged by what reaches the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Route, expect

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

MODULES = [file.relative_to(ROOT / "app").as_posix() for file in ROOT.glob("app/unexpired/**/*.py")]
PROVIDER = "https://provider.test"
STATE, OTHER_STATE = (f"ux1.{letter * 43}" for letter in "ab")
SENT = f"{PROVIDER}/authorize?client_id=app&state={STATE}"
ANSWER = f"?code=code&state={STATE}"
COOP = {"cross-origin-opener-policy": "same-origin"}

SET_UP = """
from unexpired.browser import windows
from unexpired.browser.navigation import BrowserNavigator
from unexpired.browser.windows import LinkWindow, PageWindow, PopupWindow, SessionStoragePending
from unexpired.errors import SignInFailed
from pyodide.ffi import create_proxy
windows.create_proxy = create_proxy
windows.POLL, windows.CLOSED_GRACE, windows.CUT_OFF_GRACE = 0.05, 0.5, 60.0
windows.STAY_TIMEOUT = 60.0
window = visit = None

async def url_of(visit):
    try:
        return await visit
    except SignInFailed as error:
        return error.code

def visits(window, url):
    return asyncio.ensure_future(url_of(window.visit(url)))

def made(kind, *arguments):
    try:
        return kind(*arguments)
    except SignInFailed as error:
        return error.code
None
"""
OPEN = """
window = PopupWindow("{}/callback.html")
visit = visits(window, "{}")
None
"""
RESULT = "await asyncio.wait_for(visit, 30)"  # Before the page or the pop-up gives up by itself.
SPY = """
js_proxies = []
def spied(listener):
    js_proxies.append(create_proxy(listener))
    return js_proxies[-1]
windows.create_proxy = spied
None
"""
ARE_DESTROYED = """
def is_destroyed(js_proxy):
    try:
        js_proxy.unwrap()
    except Exception:
        return True
    return False
[is_destroyed(js_proxy) for js_proxy in js_proxies]
"""
# The person's focus, and how often it was asked for: each time for a pop-up that reads as closed.
LOOKS = "() => { window.looks = 0; document.hasFocus = () => { looks += 1; return %s; }; }"
HERE, ELSEWHERE = LOOKS % "true", LOOKS % "false"
CUT_OFF_AT_SECOND_LOOK = """() => {
  let isShown = false, glimpses = 0;
  const location = {
    get href() { glimpses += 1; throw new Error(); },
    replace() { isShown = true; },
  };
  const popup = { get closed() { return isShown && glimpses > 0; }, location, close() {} };
  window.reallyOpen = open;
  window.open = () => popup;
}"""
LINK = """
import asyncio, js
from unexpired.browser.windows import LinkWindow
window = LinkWindow("{}/callback.html", lambda url: js.postMessage(url))
await asyncio.wait_for(window.visit("{}"), 60)
"""
START_WORKER = """([modules, source]) => {
  window.received = [];
  const worker = new Worker("/library.worker.mjs", { type: "module" });
  worker.onmessage = ({ data }) => {
    received.push(data.result ?? data);
    if (data.result) return;
    const link = Object.assign(document.createElement("a"), { href: data, target: "_blank" });
    link.textContent = "Sign in";
    document.body.append(link);
  };
  worker.postMessage({ modules, source });
}"""


@pytest.fixture(scope="module")
def browser_library(context_of: ContextFactory, serve: Any) -> Library:
    """A page with the library, started once."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def context(browser_library: Library) -> Iterator[BrowserContext]:
    """The browser context of the page; a test's other windows are closed after it."""
    context = browser_library.page.context
    yield context
    for page in context.pages:
        if page != browser_library.page:
            page.close()
    context.unroute_all()


class Provider:
    """A provider that shows a page, from which a test goes on."""

    def __init__(self, context: BrowserContext) -> None:
        self.headers: dict[str, str] = {}
        context.route(f"{PROVIDER}/**", self._serve)

    def _serve(self, route: Route) -> None:
        route.fulfill(content_type="text/html", headers=self.headers, body="<p>Who are you?</p>")


@pytest.fixture(autouse=True)
def provider(context: BrowserContext) -> Provider:
    return Provider(context)


@pytest.fixture
def library(browser_library: Library, watch: Watch) -> Library:
    """The page, from which nothing has been opened."""
    watch.admit(PROVIDER)
    browser_library.run(SET_UP)
    return browser_library


@pytest.fixture
def home(backend: ServerProcess) -> str:
    return backend.url


def opened(library: Library, home: str) -> Page:
    """Open a pop-up that shows the provider."""
    with library.page.context.expect_page() as popup:
        library.run(OPEN.format(home, SENT))
    popup.value.wait_for_url(SENT)
    return popup.value


def send(popup: Page, address: str) -> None:
    """Send the pop-up to an address, as the provider's page does; it may close itself there."""
    popup.evaluate("address => { setTimeout(() => location.assign(address)) }", address)


def callback(home: str, query: str = ANSWER) -> str:
    return f"{home}/callback.html{query}"


# -- Pop-ups ---------------------------------------------------------------------------------------


def test_the_callback_page_hands_over_its_address_and_closes(library: Library, home: str) -> None:
    """It is served with a Cross-Origin-Opener-Policy, which cuts it off from its opener."""
    popup = opened(library, home)
    with popup.expect_event("close"):
        send(popup, callback(home))
    assert library.run(RESULT) == callback(home)


def test_the_callback_page_leaves_no_code_behind(library: Library, home: str, watch: Watch) -> None:
    """Neither in its address, nor in the history, nor in a request; it then asks to be closed."""
    popup = opened(library, home)
    popup.add_init_script("window.close = () => {}")
    send(popup, callback(home))
    popup.wait_for_url(callback(home, ""))
    expect(popup.locator("body")).to_contain_text("You can close this window.")
    expect(popup.locator("body")).to_contain_text("Sie können dieses Fenster schließen.")
    (script,) = watch.calls("GET /callback.js")
    assert "referer" not in script.headers
    assert library.run(RESULT) == callback(home)
    popup.go_back()
    popup.go_forward()
    popup.wait_for_url(callback(home, ""))


def test_an_answer_comes_by_a_message_to_the_opener(library: Library, home: str) -> None:
    """A page in a frame of another site does not share the pop-up's BroadcastChannel."""
    popup = opened(library, home)
    popup.add_init_script("BroadcastChannel.prototype.postMessage = () => {}")
    popup.route("**/callback.html*", without_opener_policy)
    with popup.expect_event("close"):
        send(popup, callback(home))
    assert library.run(RESULT) == callback(home)


def test_a_popup_that_only_reads_as_closed_still_answers(
    library: Library, provider: Provider, home: str
) -> None:
    """The provider's policy cuts it off, and the person looks at the page."""
    provider.headers = COOP
    library.page.evaluate(HERE)
    popup = opened(library, home)
    library.page.wait_for_function("looks > 20")
    send(popup, callback(home))
    assert library.run(RESULT) == callback(home)


def test_messages_from_elsewhere_are_ignored(library: Library, home: str) -> None:
    """The provider's page may send whatever it likes: only the browser names the sender."""
    popup = opened(library, home)
    library.page.evaluate("window.got = 0; addEventListener('message', () => { got += 1; })")
    forged = {"type": "unexpired:sign-in", "url": callback(home, f"?code=forged&state={STATE}")}
    popup.evaluate("message => opener.postMessage(message, '*')", forged)
    library.page.wait_for_function("got > 0")
    send(popup, callback(home))
    assert library.run(RESULT) == callback(home)


def test_only_the_answer_to_this_visit_is_taken(
    library: Library, context: BrowserContext, home: str
) -> None:
    """A message of this origin needs the type, the redirect URI and the state, once."""
    popup = opened(library, home)
    other = context.new_page()
    other.goto("/healthz")
    kind, right = "unexpired:sign-in", callback(home)
    urls = [
        callback(home, f"?code=code&state={OTHER_STATE}"),
        callback(home, "?code=code"),
        callback(home, f"?code=code&state={OTHER_STATE}&state={STATE}"),
        f"{home}/other.html{ANSWER}",
        right.replace(home, PROVIDER),
        "no URL",
        7,
    ]
    messages: list[object] = [{"type": kind, "url": url} for url in urls]
    messages += [{"type": "other", "url": right}, {"url": right}, {"type": kind}, right, None, 7]
    other.evaluate(
        """messages => {
          const channel = new BroadcastChannel("unexpired:sign-in");
          for (const message of messages) channel.postMessage(message);
        }""",
        [*messages, {"type": kind, "url": f"{right}&true"}],
    )
    assert library.run(RESULT) == f"{right}&true"
    assert not popup.is_closed()


def test_two_sign_ins_at_once_get_their_own_answers(library: Library, home: str) -> None:
    popup = opened(library, home)
    library.run("first = visit\nNone")
    with library.page.context.expect_page() as second:
        library.run(OPEN.format(home, SENT.replace(STATE, OTHER_STATE)))
    second.value.wait_for_url(f"{PROVIDER}/**")
    send(second.value, callback(home, f"?code=code&state={OTHER_STATE}"))
    assert library.run(RESULT) == callback(home, f"?code=code&state={OTHER_STATE}")
    send(popup, callback(home))
    assert library.run("await first") == callback(home)


def test_a_person_who_closes_the_popup_and_is_back_has_given_up(
    library: Library, home: str
) -> None:
    """As long as the person looks elsewhere, the answer may still come."""
    library.page.evaluate(ELSEWHERE)
    popup = opened(library, home)
    library.run("await asyncio.sleep(4 * windows.POLL)")
    popup.close()
    library.page.wait_for_function("looks > 20")
    assert library.run("visit.done()") is False
    library.page.evaluate(HERE)
    assert library.run(RESULT) == "POPUP_CLOSED"


def test_a_popup_that_was_never_in_reach_counts_as_closed_late(
    library: Library, provider: Provider, home: str
) -> None:
    """It looks the same as one that is cut off, so only the long wait ends it."""
    library.run("windows.CUT_OFF_GRACE = 1.5\nNone")
    provider.headers = COOP
    library.page.evaluate(HERE)
    opened(library, home).close()
    library.page.wait_for_function("looks > 20")
    assert library.run("visit.done()") is False
    assert library.run(RESULT) == "POPUP_CLOSED"


def test_a_glimpse_of_the_provider_does_not_show_that_a_popup_is_in_reach(
    library: Library, home: str
) -> None:
    """Chromium shows it for a moment while the provider's policy cuts the pop-up off."""
    library.page.evaluate(HERE)
    library.page.evaluate(CUT_OFF_AT_SECOND_LOOK)
    library.run(OPEN.format(home, SENT))
    library.page.wait_for_function("looks > 20")
    assert library.run("visit.done()") is False
    library.run("window.close()")
    library.page.evaluate("window.open = reallyOpen; 0")


def test_a_popup_that_was_closed_before_the_visit(library: Library, home: str) -> None:
    """The provider was still being discovered."""
    library.page.evaluate(ELSEWHERE)
    with library.page.context.expect_page() as popup:
        library.run(f"window = PopupWindow('{home}/callback.html')\nNone")
    popup.value.close()
    library.run(f"visit = visits(window, '{SENT}')\nNone")
    assert library.run(RESULT) == "POPUP_CLOSED"


@pytest.mark.parametrize("result", ["null", "{closed: true}"])
def test_a_popup_may_be_blocked(library: Library, home: str, result: str) -> None:
    """Browsers return null, some blockers a window that is closed."""
    library.page.evaluate(f"window.reallyOpen = open; window.open = () => ({result}); 0")
    assert library.run(f"made(PopupWindow, '{home}/callback.html')") == "POPUP_BLOCKED"
    library.page.evaluate("window.open = reallyOpen; 0")


def test_closing_a_popup_leaves_nothing_behind(library: Library, home: str) -> None:
    """Neither the window, nor the visit, nor a listener."""
    library.run(SPY)
    popup = opened(library, home)
    assert library.run(ARE_DESTROYED) == [False]
    with popup.expect_event("close"):
        library.run("window.close()")
    assert library.run(RESULT) == "ABANDONED"
    assert library.run(ARE_DESTROYED) == [True]


def test_a_redirect_uri_on_another_origin_is_refused(library: Library, home: str) -> None:
    """Its page could not send a message that is taken."""
    for kind in ("PopupWindow({!r})", "LinkWindow({!r}, print)"):
        with pytest.raises(Error, match=f"redirect_uri must be on {home}"):
            library.run(kind.format(f"{PROVIDER}/callback.html"))


# -- The page itself -------------------------------------------------------------------------------


def stays(library: Library) -> None:
    """Let the page visit the provider, which answers with nothing to show."""
    library.page.context.route(SENT, lambda route: route.fulfill(status=204))
    with library.page.expect_request(SENT):
        library.run(f"window = PageWindow('/')\nvisit = visits(window, '{SENT}')\nNone")


@pytest.mark.parametrize(
    "script",
    [
        "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
        "navigation.dispatchEvent(new ErrorEvent('navigateerror'))",
    ],
    ids=["back", "stopped"],
)
def test_a_person_who_is_back_at_the_page_has_given_up(library: Library, script: str) -> None:
    """From the back-forward cache, or because they stopped the navigation."""
    library.run(SPY)
    stays(library)
    library.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    assert library.run("visit.done()") is False
    library.page.evaluate(script)
    assert library.run(RESULT) == "ABANDONED"
    assert library.run(ARE_DESTROYED) == [True]


def test_a_page_that_is_never_left_gives_up(library: Library) -> None:
    library.run("windows.STAY_TIMEOUT = 0.5\nNone")
    stays(library)
    assert library.run(RESULT) == "ABANDONED"


def test_closing_ends_the_visit_of_a_page(library: Library) -> None:
    stays(library)
    library.run("window.close()")
    assert library.run(RESULT) == "ABANDONED"


def test_a_page_is_left_and_comes_back_with_its_sign_in_and_its_notes(
    context: BrowserContext, watch: Watch
) -> None:
    """The code leaves the address bar, and the person is where they were."""
    watch.admit(PROVIDER)
    tab = Library(context.new_page(), "/library.html?notes#/notes/7")
    tab.run(SET_UP)
    tab.run("SessionStoragePending().put('state', 'kept')\nNone")
    tab.run("SessionStoragePending().set('back', BrowserNavigator().here())\nNone")
    tab.page.evaluate("source => { runPython(source) }", f"await PageWindow('/').visit('{SENT}')")
    tab.page.wait_for_url(SENT)
    back = Library(tab.page, f"/library.html{ANSWER}")
    back.run(SET_UP)
    back.run("pending = SessionStoragePending()\nNone")
    assert back.run("[pending.take('state') for _ in range(2)]") == ["kept", None]
    length = back.page.evaluate("history.length")
    back.run("BrowserNavigator().replace('/library.html?notes')\nNone")
    assert back.run("BrowserNavigator().here()") == "/library.html?notes"
    assert back.run("pending.get('back')") == "/library.html?notes#/notes/7"
    back.run("BrowserNavigator().show(pending.get('back'))\nNone")
    assert back.run("BrowserNavigator().here()") == "/library.html?notes#/notes/7"
    assert back.page.evaluate("history.length") == length


def test_a_path_stays_on_this_origin(library: Library, home: str) -> None:
    """A server may serve a path that begins with two slashes; as a URL it names a host."""
    address = library.page.url
    library.run("BrowserNavigator().replace('//provider.test/x')\nNone")
    assert library.page.url == f"{home}//provider.test/x"
    library.run("BrowserNavigator().show('//provider.test/x#7')\nNone")
    assert library.page.url == f"{home}//provider.test/x#7"
    library.run(f"BrowserNavigator().replace('{address}')\nNone")


# -- What is remembered ----------------------------------------------------------------------------


def test_old_sign_ins_are_swept(library: Library) -> None:
    """Only they: neither notes nor what the application stores."""
    library.page.evaluate("sessionStorage.clear(); sessionStorage.setItem('own', 'old')")
    library.run("pending = SessionStoragePending()\npending.set('draft', 'old')\nNone")
    library.run("for state in 'abc': pending.put(state, 'new' if state == 'b' else 'old')\nNone")
    library.run("pending.sweep(lambda text: text == 'old')\nNone")
    stored = library.page.evaluate("({ ...sessionStorage })")
    assert stored == {"own": "old", "unexpired:draft": "old", "unexpired:sign-in:b": "new"}
    library.run("pending.remove('draft')\nNone")
    assert library.run("pending.get('draft')") is None


@pytest.mark.parametrize("failure", ["throw new DOMException('', 'QuotaExceededError')", ""])
def test_storage_that_takes_nothing_is_an_error(library: Library, failure: str) -> None:
    """It is full, or the browser ignores the write; the sign-in could not be finished."""
    spoiled = f"Storage.prototype.setItem = () => {{ {failure} }}"
    library.page.evaluate(f"window.setItem = Storage.prototype.setItem; {spoiled}; 0")
    put = "made(SessionStoragePending().put, 'state', 'text')"
    note = "made(SessionStoragePending().set, 'draft', 'text')"
    assert [library.run(put), library.run(note)] == ["NO_STORAGE", "NO_STORAGE"]
    library.page.evaluate("Storage.prototype.setItem = setItem; 0")


def test_storage_that_is_denied_is_an_error_only_for_what_must_be_kept(library: Library) -> None:
    """Reading finds nothing, and removing does nothing."""
    library.page.evaluate(
        """Object.defineProperty(window, "sessionStorage", {
          get() { throw new DOMException("denied", "SecurityError"); }, configurable: true
        })"""
    )
    library.run("pending = SessionStoragePending()\npending.sweep(bool)\nNone")
    assert library.run("[pending.take('state'), pending.get('draft')]") == [None, None]
    assert library.run("made(pending.put, 'state', 'text')") == "NO_STORAGE"
    library.page.evaluate("delete window.sessionStorage")


# -- Workers ---------------------------------------------------------------------------------------


def test_a_worker_has_a_link_shown_and_gets_the_answer(
    library: Library, context: BrowserContext, home: str
) -> None:
    """The window that the person opens knows nothing of the worker."""
    library.page.evaluate(START_WORKER, [MODULES, LINK.format(home, SENT)])
    with context.expect_page() as popup:
        library.page.get_by_role("link", name="Sign in").click()
    popup.value.wait_for_url(SENT)
    send(popup.value, callback(home))
    library.page.wait_for_function("received.length > 1")
    assert library.page.evaluate("received") == [SENT, callback(home)]


def without_opener_policy(route: Route) -> None:
    """Serve a page as most hosts do: its opener stays in reach."""
    response = route.fetch()
    headers = {**response.headers}
    del headers["cross-origin-opener-policy"]
    route.fulfill(response=response, headers=headers)
