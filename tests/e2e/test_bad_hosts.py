"""Hosts and browsers that the page cannot start on: each has its sentence, or a fallback."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import FastForward
from tests.e2e.faults import hold
from tests.e2e.person import Person
from tests.e2e.test_start import was_restored
from tests.e2e.watch import Watch
from tests.support.paths import ROOT

WASM = "pyodide.asm.wasm"
BAD_HOST = "The server does not deliver a file of this page as it should."
SILENCE = "Nothing has arrived for a while."
NO_WEBASSEMBLY = "This browser does not run WebAssembly"
NO_MEMORY = "There is not enough memory to start Python."
LOUD = ("Failed to", "wasm", "rror", "reload", "MIME", "module", "404", "uncaught")
"""What browsers and Pyodide log."""

WITHOUT_MEMORY = """
WebAssembly.Memory = class {
    constructor() { throw new RangeError("WebAssembly.Memory(): could not allocate memory"); }
};
"""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The page's sources, of which each file can be missing."""
    return {"page_dir": str(ROOT)}


def send_as(page: Page, name: str, media_type: str) -> None:
    """Send a file with another media type."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers={**response.headers, "content-type": media_type})

    page.route(f"**/{name}", answer)


@pytest.mark.parametrize("media_type", ["text/plain", "application/octet-stream"])
def test_webassembly_is_compiled_whatever_its_media_type(
    person: Person, page: Page, media_type: str
) -> None:
    """Old hosts do not know the type, which browsers insist on."""
    send_as(page, WASM, media_type)
    person.opens().signs_in().is_at_notes()
    assert was_restored(page)


@pytest.mark.parametrize("name", ["load_pyodide.mjs", "pyodide.asm.mjs", "pyodide.mjs"])
def test_a_script_with_a_wrong_media_type_is_named(page: Page, watch: Watch, name: str) -> None:
    """Browsers refuse to run it, and no script can do anything about it."""
    send_as(page, name, "text/plain")
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text(f"{name}: text/plain")
    expect(page.get_by_role("alert")).to_contain_text(BAD_HOST)
    watch.forgive(*LOUD)


@pytest.mark.parametrize(
    "name",
    [
        *("load_pyodide.mjs", "pyodide.asm.mjs", "core.js", WASM, "python_stdlib.zip"),
        *("archives.json", "pyscript.toml", "main.py", "views/router.py"),
    ],
)
def test_a_missing_file_is_named(page: Page, watch: Watch, name: str) -> None:
    """The alert says that trying again may not help, and which file is meant."""
    page.route(f"**/{name}", lambda route: route.fulfill(status=404, body="Not found"))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text(f"{name.rpartition('/')[2]}: 404")
    expect(page.get_by_role("alert")).to_contain_text(BAD_HOST)
    expect(page.locator("#session")).to_be_hidden()  # It says "Starting".
    watch.forgive(*LOUD)


@pytest.mark.parametrize(
    "name", ["load_pyodide.mjs", WASM, "python_stdlib.zip", "archives.json", "main.py"]
)
def test_a_file_that_is_never_answered_is_a_silence(
    person: Person, page: Page, fast_forward: FastForward, name: str
) -> None:
    """It is no failure: once the file arrives, the message goes and the page starts."""
    with page.expect_request(f"**/{name}"):
        release = hold(page, f"**/{name}")
        page.goto("/", wait_until="commit")
    while not page.get_by_text(SILENCE).is_visible():
        fast_forward("00:11")
    expect(page.locator("#boot-alert")).to_have_attribute("data-kind", "notice")
    release()
    person.waits_until_ready()
    expect(page.get_by_text(SILENCE)).to_be_hidden()


def test_a_snapshot_that_is_never_answered_is_done_without(person: Person, page: Page) -> None:
    """After a while Python starts normally."""
    hold(page, "**/snapshot.gz")
    person.opens().signs_in().is_at_notes()
    assert not was_restored(page)


def test_a_browser_without_webassembly_is_a_sentence(page: Page, watch: Watch) -> None:
    """Lockdown modes turn it off."""
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text(NO_WEBASSEMBLY)
    watch.forgive(*LOUD)


def test_too_little_memory_is_a_sentence(page: Page, watch: Watch) -> None:
    """It says what helps: to close other tabs."""
    page.add_init_script(WITHOUT_MEMORY)
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text(NO_MEMORY)
    watch.forgive(*LOUD)
