"""Notes in WebKitGTK: they change, are found, and wait; nothing that was typed is lost."""

from __future__ import annotations

from uuid import uuid4

import pytest
from selenium.webdriver import WebKitGTK
from selenium.webdriver.common.keys import Keys

from tests.e2e.test_edited_notes import CHANGED
from tests.e2e.test_pending_notes import PENDING
from tests.support.proxy import HTTPProxy
from tests.support.server_process import ServerProcess
from tests.webkit.window import Window

LIST = "ul[aria-label=Notes]"
COUNT = f"document.querySelectorAll('{LIST} li[data-id]').length"
COUNTER = "#note-length"
LONG = "word " * 499 + "words"
HEBREW = "לקנות חלב"
# How far the first line of the first note is from each side of the place that it has.
MARGINS = f"""(() => {{
    const text = document.querySelector("{LIST} li p");
    const range = document.createRange();
    range.selectNodeContents(text);
    const [inner, outer] = [range, text].map((one) => one.getBoundingClientRect());
    return [inner.left - outer.left, outer.right - inner.right];
}})()"""
FOCUSED = f"[...document.querySelectorAll('{LIST} > li')].indexOf(document.activeElement)"
SIGNED_IN, RECONNECTING = "Signed in", "Reconnecting"
API = ("/api/notes", "/api/refresh", "/api/me")


@pytest.fixture
def text() -> str:
    """A text that no other note has, short enough to be in a button's name as a whole."""
    return f"text {uuid4().hex[:12]}"


@pytest.fixture
def writer(window: Window) -> Window:
    """A person who is signed in and sees their notes."""
    return window.opens().signs_in()


def saves(window: Window, text: str) -> None:
    """Type into the editor of a note, and save it by the keyboard."""
    window.find("textarea", "Text of the note").send_keys(text, Keys.CONTROL + Keys.ENTER)


def test_a_note_is_edited_deleted_and_restored(writer: Window, text: str) -> None:
    """Each change is there after a reload."""
    writer.adds(text)
    writer.presses(f"Edit note: {text}")
    saves(writer, " and more")
    writer.shows(f"{text} and more", LIST)
    writer.presses(f"Delete note: {text} and more")
    writer.presses(f"Undo: delete note {text} and more")
    writer.shows(f"{text} and more", LIST)
    writer.opens().shows(f"{text} and more", LIST)


def test_a_pasted_text_is_not_cut(writer: Window) -> None:
    """The page says how long it is, and offers to make several notes of it."""
    box = writer.find("textarea", "New note")
    writer.evaluate("void (arguments[0].value = arguments[1])", box, LONG)
    for key in "ax":
        box.send_keys(Keys.CONTROL + key)
    writer.holds(f"document.querySelector('{COUNTER}').textContent === ''")
    box.send_keys(Keys.CONTROL + "v")
    writer.shows("2500 / 2000", COUNTER)
    writer.shows("nothing is cut")
    before = writer.evaluate(COUNT)
    writer.presses("Add as 2 notes")
    writer.holds(f"{COUNT} === {before + 2}")


def test_notes_are_searched_and_walked_through(writer: Window, text: str) -> None:
    """By words and by arrow keys; a note in Hebrew begins on the right."""
    for name in ("fern", "moss", HEBREW):
        writer.adds(f"{name} {text}" if name != HEBREW else HEBREW)
    left, right = writer.evaluate(MARGINS)
    assert right < 1 < left
    search = writer.find("input", "Search notes")
    search.send_keys(f"{text} FERN")
    writer.holds(f"{COUNT} === 1")
    writer.shows(f"fern {text}", LIST)
    writer.empties(search)
    writer.shows(HEBREW, LIST)
    writer.evaluate(f"document.querySelector('{LIST} button').focus()")
    for key, place in ((Keys.ARROW_DOWN, 1), (Keys.ARROW_DOWN, 2), (Keys.ARROW_UP, 1)):
        writer.keys(key)
        writer.holds(f"{FOCUSED} === {place}")
    writer.keys(Keys.HOME)
    writer.holds(f"{FOCUSED} === 0")


def test_two_windows_that_edit_a_note_lose_neither_text(writer: Window, text: str) -> None:
    """The second one to save reads why, and keeps its text beside the note."""
    writer.adds(text)
    other = writer.opens_another()
    for window in (other, writer):
        window.presses(f"Edit note: {text}")
    other.find("textarea", "Text of the note").send_keys(" by two")
    saves(writer, " by one")
    writer.shows(f"{text} by one", f"{LIST} li[data-id]")
    other.presses("Save")
    other.shows(f"{text} by one", LIST)
    other.shows(CHANGED, f"{LIST} li.pending")
    other.presses(f"Add as a new note: {text} by two"[:59])
    for ending in ("by one", "by two"):
        writer.shows(f"{text} {ending}", LIST)


def test_a_note_written_offline_is_sent_later(
    webkit: WebKitGTK, host: HTTPProxy, text: str
) -> None:
    """It is in the list at once, lives through a reload, and the server gets it once."""
    window = Window(webkit, host.url).forgets().opens().signs_in()
    window.shows(SIGNED_IN, "header")
    for path in API:
        host.drop(path)
    window.find("textarea", "New note").send_keys(text)
    window.presses("Add note")
    window.shows(PENDING, f"{LIST} li.pending")
    window.shows(RECONNECTING, "header")
    window.opens().shows(text, f"{LIST} li.pending")
    calls = host.calls("POST /api/notes")
    host.clear()
    window.evaluate("void dispatchEvent(new Event('online'))")
    window.shows(text, f"{LIST} li[data-id]")
    window.shows(SIGNED_IN, "header")
    assert window.evaluate(f"document.querySelector('{LIST} li.pending')") is None
    calls += host.calls("POST /api/notes")
    assert len(calls) > 1
    assert len({call.headers["idempotency-key"] for call in calls}) == 1


def test_a_note_that_waits_is_edited(webkit: WebKitGTK, host: HTTPProxy, text: str) -> None:
    """Its new text is kept, and the server's in the end; the cursor stays while it is delivered."""
    window = Window(webkit, host.url).forgets().opens().signs_in()
    for path in API:
        host.drop(path)
    window.find("textarea", "New note").send_keys(text)
    window.presses("Add note")
    window.shows(PENDING, f"{LIST} li.pending")
    window.presses(f"Edit note: {text}")
    saves(window, " and")
    window.shows(f"{text} and", f"{LIST} li.pending")
    window.opens().presses(f"Edit note: {text} and")
    host.clear()
    window.evaluate("void dispatchEvent(new Event('online'))")
    window.holds("!!document.activeElement.closest('li[data-id] form')")
    saves(window, " more")
    window.shows(f"{text} and more", f"{LIST} li[data-id]")
    window.holds(f"!document.querySelector('{LIST}').textContent.includes('Saving…')")
    window.opens().shows(f"{text} and more", f"{LIST} li[data-id]")


def test_what_is_typed_when_a_session_ends_is_kept(
    writer: Window, backend: ServerProcess, text: str
) -> None:
    """The sign-in says why and knows the name, and the text is in the box again."""
    writer.find("textarea", "New note").send_keys(text)
    revokes(backend, writer)
    writer.find("h1", "Sign in")
    writer.shows("It was ended on another device", "#sign-in [role=alert]")
    writer.signs_in_again()
    box = writer.find("textarea", "New note")
    writer.waits(lambda: box.get_property("value") == text)


def revokes(backend: ServerProcess, window: Window) -> None:
    """End the session of a window, as another device can."""
    token = window.record["accessToken"]
    _, found = backend.get("/api/sessions", token)
    (current,) = (one["id"] for one in found["sessions"] if one["current"])
    status, _ = backend.ask(
        "DELETE", f"/api/sessions/{current}", None, Authorization=f"Bearer {token}"
    )
    assert status == 204
