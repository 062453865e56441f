"""The start of the page in WebKitGTK: on a slow line, on a silent one, and at bad hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.test_bad_hosts import BAD_HOST, NO_MEMORY, NO_WEBASSEMBLY, SILENCE, WITHOUT_MEMORY
from tests.support.built_page import built_page
from tests.support.proxy import HTTPProxy, RawResponse
from tests.webkit.conftest import Browser, Launch
from tests.webkit.window import Window

SNAPSHOT, WASM, PACKAGES = "snapshot.gz", "pyodide.asm.wasm", "archives.json"
LOADER = "load_pyodide.mjs"
SECONDS = 100
"""How long the largest file would be on its way: longer than all scripts on a busy machine."""
FEW = 8
"""A file that counts as a whole brings fewer other amounts."""

# An estimate may be gone by the time that a busy machine looks.
NOTE_DETAILS = """void (() => {
    const detail = document.getElementById("boot-detail");
    globalThis.details = "";
    new MutationObserver(() => { details += detail.textContent; }).observe(detail, {
        childList: true, characterData: true, subtree: true,
    });
})()"""
# How many different amounts it has said. Files that were counted as a whole would be a few.
AMOUNTS = "new Set(details.match(/[\\d.]+ of/g)).size"
ALERT = "#boot-alert"
FAILED = "The page could not be loaded completely."
BAR = "document.querySelector('#boot progress').value"
RESTORED = "performance.getEntriesByName('python-restored').length"
TYPE = b"content-type"


@pytest.fixture(scope="module")
def impatient(launch: Launch) -> Iterator[Browser]:
    """A browser that is looked at while its page loads."""
    with Browser(lambda: launch(waits=False)) as browser:
        yield browser


@pytest.fixture
def visitor(impatient: Browser, host: HTTPProxy) -> Window:
    """A window at this host, without a session."""
    window = Window(impatient.driver, host.url)
    window.goes("/healthz")
    window.holds("location.pathname === '/healthz' && document.readyState === 'complete'")
    return window


def path_of(name: str) -> str:
    """Return the path of a file of the built page."""
    (found,) = (built_page() / "assets").rglob(name)
    return f"/{found.relative_to(built_page())}"


def goes_to_the_page(window: Window) -> None:
    """Begin to load it."""
    window.goes("/")
    window.holds("location.pathname === '/' && !!document.getElementById('boot-alert')")


def typed(media_type: bytes) -> Callable[[RawResponse], RawResponse]:
    """Return a change to another media type."""

    def change(response: RawResponse) -> RawResponse:
        status, fields, content = response
        others = [(name, value) for name, value in fields if name.lower() != TYPE]
        return status, [*others, (TYPE, media_type)], content

    return change


def runs_first(script: str) -> Callable[[RawResponse], RawResponse]:
    """Return a change of the page that lets a script run before all of its own."""

    def change(response: RawResponse) -> RawResponse:
        status, fields, content = response
        fields = [(k, v) for k, v in fields if k.lower() != b"content-security-policy"]
        head = f"<script>{script}</script>".encode()
        return status, fields, content.replace(b"<head>", b"<head>" + head, 1)

    return change


def test_the_bar_moves_by_bytes(visitor: Window, host: HTTPProxy) -> None:
    """It says how much has come and what is left, and calls a slow line no failure."""
    path = path_of(SNAPSHOT)
    host.slow(path, (built_page() / path[1:]).stat().st_size // SECONDS)
    goes_to_the_page(visitor)
    visitor.evaluate(NOTE_DETAILS)
    visitor.shows(" MB", "#boot-detail")
    first = visitor.evaluate(BAR)
    visitor.holds("details.includes('left')")
    visitor.holds(f"{AMOUNTS} > {FEW}")
    assert visitor.evaluate(BAR) > first
    assert visitor.evaluate(f"document.querySelector('{ALERT}').hidden")
    host.clear()
    visitor.is_ready()
    assert visitor.evaluate(RESTORED) == 1


def test_a_silence_has_a_notice_which_goes_again(visitor: Window, host: HTTPProxy) -> None:
    """Once the file arrives the page starts."""
    release = host.hold(path_of(WASM))
    goes_to_the_page(visitor)
    visitor.shows(SILENCE, ALERT)
    assert visitor.evaluate(f"document.querySelector('{ALERT}').dataset.kind") == "notice"
    release()
    visitor.is_ready()
    visitor.lacks(SILENCE)


def test_webassembly_is_compiled_whatever_its_media_type(visitor: Window, host: HTTPProxy) -> None:
    """The snapshot is restored, too."""
    host.change(path_of(WASM), typed(b"text/plain"))
    goes_to_the_page(visitor)
    visitor.is_ready()
    assert visitor.evaluate(RESTORED) == 1


@pytest.mark.parametrize(
    ("name", "cause"), [(LOADER, "404"), (PACKAGES, "404"), (LOADER, "text/plain")]
)
def test_a_bad_host_has_its_sentence(
    visitor: Window, host: HTTPProxy, name: str, cause: str
) -> None:
    """A file that is missing, and a script with another media type, are named."""
    if cause == "404":
        host.respond(path_of(name), 404, "Not found")
    else:
        host.change(path_of(name), typed(cause.encode()))
    goes_to_the_page(visitor)
    visitor.shows(f"{name}: {cause}", ALERT)
    visitor.shows(BAD_HOST, ALERT)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [("delete globalThis.WebAssembly", NO_WEBASSEMBLY), (WITHOUT_MEMORY, NO_MEMORY)],
    ids=["no WebAssembly", "no memory"],
)
def test_a_browser_that_cannot_run_python_has_its_sentence(
    visitor: Window, host: HTTPProxy, script: str, sentence: str
) -> None:
    """It says what helps."""
    host.change("/", runs_first(script))
    goes_to_the_page(visitor)
    visitor.shows(sentence, ALERT)


def test_what_is_typed_while_a_start_fails_is_kept(visitor: Window, host: HTTPProxy) -> None:
    """The button beside the sentence starts again, and the page then starts."""
    host.drop(path_of(WASM))
    goes_to_the_page(visitor)
    visitor.find("input", "Username").send_keys("ada")
    visitor.shows(FAILED, ALERT)
    host.clear()
    visitor.presses("Reload the page")
    visitor.is_ready()
    visitor.signs_in_again()
