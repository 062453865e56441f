"""The start of the page, before and while Python starts."""

import gzip
import re
import struct
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import FastForward
from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.paths import ROOT

RUNTIME = "**/pyodide.asm.wasm"
SNAPSHOT = "**/snapshot.gz"
IN_PYTHON = (
    "async (code) => {"
    """ const loader = document.querySelector("script[src$='load_pyodide.mjs']").src;"""
    " const { loadPyodide } = await import(loader);"
    " return (await loadPyodide({})).runPython(code); }"
)
"""Returns the page's own interpreter: there is only one."""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The page's sources, as they are served in development."""
    return {"page_dir": str(ROOT)}


def test_the_page_loads_only_from_its_own_server(person: Person, watch: Watch) -> None:
    """Pyodide and its package load without a request to another host."""
    person.opens()
    loaded = {sent.path.rpartition("/")[2].partition("-")[0] for sent in watch.sent}
    assert {"pyodide.asm.wasm", "pyodide_http"} <= loaded
    assert watch.foreign_requests == []


KEPT = """
import pyscript, sys
kept = type(pyscript.context.__loader__).kept
", ".join(sorted({source.split()[1].decode() for source in kept}))
"""
"""What of PyScript was compiled for the snapshot and is still unused: the first name of each."""


def was_restored(page: Page) -> bool:
    return bool(page.evaluate("performance.getEntriesByName('python-restored').length"))


def test_python_is_restored_from_the_snapshot(person: Person, page: Page) -> None:
    """There is one interpreter: it was restored, and it is the one that runs the page."""
    person.opens()
    assert was_restored(page)
    assert page.evaluate(IN_PYTHON, "import sys; 'uuid' in sys.modules and 'views' in sys.modules")


def test_pyscripts_modules_are_not_compiled_again(person: Person, page: Page) -> None:
    """All that it imports at its start was in the snapshot, and nothing else."""
    person.opens()
    assert was_restored(page)
    assert page.evaluate(IN_PYTHON, KEPT) == ""


def test_another_pyscript_is_compiled(person: Person, page: Page) -> None:
    """What is kept is never taken for another source."""

    def change(route: Route) -> None:
        response = route.fetch()
        body = response.text()
        assert "class NotSupported" in body
        route.fulfill(
            response=response,
            body=body.replace("class NotSupported", "kind='new'\\nclass NotSupported"),
        )

    page.route(re.compile("/vendor/pyscript/core-"), change)
    person.opens()
    assert was_restored(page)
    assert page.evaluate(IN_PYTHON, "import pyscript; pyscript.util.kind") == "new"


def test_the_snapshot_is_tried_whatever_the_browser_is(person: Person, page: Page) -> None:
    """No engine is recognised by a name, such as Safari by the events that only it has."""
    page.add_init_script("globalThis.GestureEvent = class extends UIEvent {}")
    person.opens()
    assert was_restored(page)


def test_random_numbers_differ_between_pages(person: Person, page: Page) -> None:
    """The snapshot is the same for everybody, but the random state is not."""
    code = "import random, secrets, uuid; f'{random.random()} {secrets.token_hex()} {uuid.uuid4()}'"
    values: list[str] = []
    for _ in range(2):
        person.opens()
        assert was_restored(page)
        values += page.evaluate(IN_PYTHON, code).split()
        page.goto("about:blank")
    assert len(set(values)) == len(values)


@pytest.mark.parametrize(
    "response", [{"status": 404}, {"body": "no snapshot"}, {"body": gzip.compress(bytes(10_000))}]
)
def test_without_a_usable_snapshot_python_starts_normally(
    person: Person, page: Page, watch: Watch, response: dict[str, Any]
) -> None:
    """A snapshot that is missing, damaged or wrong only makes the start slower."""
    page.route(SNAPSHOT, lambda route: route.fulfill(**response))
    person.opens().signs_in().is_at_notes()
    assert not was_restored(page)
    assert page.locator("#boot-alert").get_attribute("hidden") is not None  # No false alarm.
    watch.forgive("404")


HEADER = struct.Struct("<3I")
"""The bytes of Pyodide's head, the pages of the memory, and the sum of those left out."""


def with_another_sum(content: bytes) -> bytes:
    """The snapshot as it would be for a WebAssembly with other constants."""
    head, pages, total = HEADER.unpack_from(content)
    return HEADER.pack(head, pages, total ^ 1) + content[HEADER.size :]


@pytest.mark.parametrize("change", [lambda content: content[:-4096], with_another_sum])
def test_a_snapshot_that_does_not_fit_is_not_used(
    person: Person, page: Page, change: Callable[[bytes], bytes]
) -> None:
    """Neither half of one is restored, nor one that was made with another WebAssembly."""

    def answer(route: Route) -> None:
        content = gzip.decompress(route.fetch().body())
        route.fulfill(body=gzip.compress(change(content), compresslevel=1))

    page.route(SNAPSHOT, answer)
    person.opens().signs_in().is_at_notes()
    assert not was_restored(page)


ORDER = """() => {
    const entries = performance.getEntriesByType("resource");
    const of = (pattern) => entries.filter(({ name }) => pattern.test(new URL(name).pathname));
    const drawn = of(/\\.css$|boot\\.js|translations|trusted_types/);
    const python = of(/^.vendor.(pyodide|pyscript|load_)/);
    const ends = Math.max(...drawn.map((entry) => entry.responseEnd));
    return [drawn.length, python.every((entry) => entry.startTime >= ends)];
}"""


@pytest.mark.skip_browser("firefox")  # It reads ahead in the markup.
def test_what_is_drawn_is_loaded_before_python(person: Person, page: Page) -> None:
    """On a slow line the form appears before its bytes have to share the line with Python's."""
    person.opens()
    assert page.evaluate(ORDER) == [5, True]


def test_a_form_that_is_submitted_early_is_sent_when_python_runs(
    person: Person, page: Page
) -> None:
    """The form can be submitted while Python loads: the button is busy until the sign-in."""
    release = hold(page, RUNTIME)
    page.goto("/")
    expect(page.get_by_role("progressbar", name="Fetching Python")).to_be_visible()
    person.signs_in()
    expect(person.sign_in_button).to_have_attribute("aria-busy", "true")
    expect(person.username).to_have_value("ada")
    release()
    person.is_at_notes()


def test_input_survives_the_start_of_python(person: Person, page: Page) -> None:
    """A partly filled form keeps its text and its focus."""
    release = hold(page, RUNTIME)
    page.goto("/")
    person.username.fill("ada")
    person.password.press_sequentially("half a pass")
    release()
    person.waits_until_ready()
    expect(person.username).to_have_value("ada")
    expect(person.password).to_have_value("half a pass")
    expect(person.password).to_be_focused()


def test_a_failed_download_of_python_can_be_retried(
    person: Person, page: Page, watch: Watch
) -> None:
    """An error and a reload button appear; the reload keeps the username and works."""
    restore = lose(page, RUNTIME)
    page.goto("/")
    person.username.fill("ada")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded completely")
    expect(person.username).to_have_value("ada")
    restore()
    page.get_by_role("button", name="Reload the page").click()
    person.waits_until_ready()
    expect(person.username).to_have_value("ada")
    expect(page.get_by_role("alert")).to_be_hidden()
    watch.forgive("Failed to", "wasm", "Error", "Preload")


def test_an_error_in_the_pages_own_code_is_shown(person: Person, page: Page, watch: Watch) -> None:
    """The error of main.py shows the same message and button."""
    page.route("**/app/main.py", lambda route: route.fulfill(body="raise RuntimeError('broken')"))
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded completely")
    expect(person.username).to_be_editable()
    watch.forgive("broken", "RuntimeError")


DIES_WITH = """
from js import document, localStorage
if {condition}:
    raise RuntimeError("broken")
document.documentElement.dataset.ready = "true"
"""
NEVER_READY = """
import asyncio
from js import document
document.documentElement.dataset.hasBegun = "true"
await asyncio.sleep(600)
"""
DROPPED = "could not start with the session that was stored on this device"


def starts(page: Page, *, condition: str) -> None:
    """Load the page with a main.py that fails on this condition, and wait until it has run."""
    page.unroute("**/app/main.py")
    source = DIES_WITH.format(condition=condition)
    page.route("**/app/main.py", lambda route: route.fulfill(body=source))
    page.goto("/")
    ended = page.locator("html[data-ready=true], #boot-alert[data-kind=error]:not([hidden])")
    ended.first.wait_for(state="attached")


def stored(page: Page) -> dict[str, str]:
    """The page's storage."""
    items: dict[str, str] = page.evaluate("({ ...localStorage })")
    return items


def test_a_session_that_python_cannot_survive_is_dropped(page: Page, watch: Watch) -> None:
    """The third start ignores the record, says so, and deletes the record as it succeeds."""
    page.goto("/healthz")
    page.evaluate("localStorage.setItem('unexpired', 'poison')")
    for _ in range(2):
        starts(page, condition="isinstance(localStorage.getItem('unexpired'), str)")
        assert stored(page) == {"unexpired": "poison"}
    starts(page, condition="isinstance(localStorage.getItem('unexpired'), str)")
    expect(page.get_by_text(DROPPED)).to_be_visible()
    assert stored(page) == {}
    starts(page, condition="isinstance(localStorage.getItem('unexpired'), str)")
    expect(page.get_by_text(DROPPED)).to_be_hidden()
    watch.forgive("broken", "RuntimeError")


def test_a_page_that_fails_for_another_reason_keeps_the_session(page: Page, watch: Watch) -> None:
    """If the start fails without the record as well, the record is put back and stays."""
    page.goto("/healthz")
    page.evaluate("localStorage.setItem('unexpired', 'good')")
    for _ in range(5):
        starts(page, condition="True")
    starts(page, condition="False")
    assert stored(page) == {"unexpired": "good"}
    watch.forgive("broken", "RuntimeError")


def test_starts_that_are_slow_or_left_do_not_count(page: Page, fast_forward: FastForward) -> None:
    """Somebody with a slow device who reloads an impatient number of times keeps the session."""
    page.goto("/healthz")
    page.evaluate("localStorage.setItem('unexpired', 'good')")
    page.route("**/app/main.py", lambda route: route.fulfill(body=NEVER_READY))
    for _ in range(3):
        page.goto("/")
        page.locator("html[data-has-begun=true]").wait_for(state="attached")
        fast_forward("05:00")
        expect(page.get_by_text("Python is taking long to start")).to_be_visible()
    page.unroute("**/app/main.py")
    starts(page, condition="False")
    assert stored(page) == {"unexpired": "good"}


def test_with_a_session_no_sign_in_form_is_shown_during_the_start(
    person: Person, page: Page
) -> None:
    """A reload keeps the session and never shows the form."""
    person.opens().signs_in().is_at_notes()
    release = hold(page, RUNTIME)
    page.reload()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(person.heading("Sign in")).to_be_hidden()
    release()
    person.waits_until_ready().is_at_notes()


def test_inline_scripts_are_blocked(person: Person, page: Page, watch: Watch) -> None:
    """The content security policy blocks scripts in injected markup, in each browser."""
    person.opens()
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.append("window.injected = true");
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.injected") is None
    watch.forgive("Content Security Policy", "script-src", "TrustedScript", "trusted-types-for")


@pytest.mark.parametrize(
    "change",
    [
        '{"user": {}}',
        '{"user": {"id": 5}}',
        '{"user": {"username": null}}',
        '{"expiresAt": 1e999}',
        '{"accessToken": "a\\nb"}',
    ],
)
def test_a_damaged_record_does_not_break_the_page(person: Person, page: Page, change: str) -> None:
    """It is removed, and the person signs in again."""
    person.opens().signs_in().is_at_notes()
    page.evaluate(
        "change => { const text = localStorage.getItem('unexpired').slice(0, -1);"
        " localStorage.setItem('unexpired', text + ',' + change.slice(1)); }",
        change,
    )
    person.opens().is_at_sign_in()
    assert page.evaluate("localStorage.getItem('unexpired')") is None
    person.signs_in().is_at_notes()


@pytest.mark.parametrize("key", ["unexpired", "unexpired.draft."])
def test_deeply_nested_storage_does_not_end_python(person: Person, page: Page, key: str) -> None:
    """The record and a draft are read by Python's parser, which calls itself."""
    person.opens().signs_in().is_at_notes()
    person.new_note.fill("a draft")
    page.evaluate(
        "key => { for (const name of Object.keys(localStorage))"
        " if (name === key || (key.endsWith('.') && name.startsWith(key)))"
        " localStorage.setItem(name, '['.repeat(100000)); }",
        key,
    )
    person.opens()
    expect(person.heading("Notes" if key.endswith(".") else "Sign in")).to_be_visible()
