"""Notes that are edited or deleted: offline, in two tabs, on two devices; nothing is lost."""

import re

import pytest
from playwright.sync_api import BrowserContext, Locator, Route, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.stored_notes import stored_notes
from tests.e2e.watch import Watch

ANY_NOTE = "**/api/notes/*"
CHANGED = "This note was changed in another tab or on another device"
DELETED = "This note was deleted in another tab or on another device"
PENDING = "Waiting for the network…"
UNDO = re.compile("^Undo")
DUE = """() => {
    for (const [name, value] of Object.entries(localStorage)) {
        if (!name.startsWith("unexpired.changes.")) continue;
        localStorage.setItem(name, JSON.stringify({ ...JSON.parse(value), at: 0 }));
    }
}"""
"""As if the time to undo a deletion were over."""
IS_SENT = """() => !Object.keys(localStorage).some((name) => name.includes(".changes."))"""

TIMERS = """
globalThis.timers = [];
const { setTimeout } = globalThis;
globalThis.setTimeout = (work, delay, ...rest) => {
    if (delay === 10_001) timers.push(delay);
    return setTimeout(work, delay, ...rest);
};
"""

# A change by another device, straight to the server.
ELSEWHERE = """async ([method, text, body]) => {
    const { accessToken } = JSON.parse(localStorage.getItem("unexpired"));
    const headers = { Authorization: `Bearer ${accessToken}`, "Content-Type": "application/json" };
    const { notes } = await (await fetch("/api/notes", { headers })).json();
    const note = notes.find((one) => one.text === text);
    const answer = await fetch(`/api/notes/${note.id}`, {
        method,
        headers,
        body: body && JSON.stringify({ text: body, version: note.version }),
    });
    return answer.status;
}"""


def editor(person: Person) -> Locator:
    """Return the box in which a note is edited."""
    return person.page.get_by_role("textbox", name="Text of the note")


def begin(person: Person, text: str) -> None:
    """Open the editor of the note with this text."""
    person.page.bring_to_front()  # Elsewhere Firefox gives nothing the focus.
    person.note(text).get_by_role("button", name="Edit note").click()
    expect(editor(person)).to_be_focused()


def save(person: Person, text: str) -> None:
    """Type this text into the editor, and save it."""
    editor(person).fill(text)
    person.page.get_by_role("button", name="Save").click()


def test_a_note_is_edited_in_its_place(writer: Person, text: str) -> None:
    """The note keeps its place, the editor its focus; the text is the server's after a reload."""
    writer.adds(f"{text} one")
    writer.adds(f"{text} two")
    begin(writer, f"{text} one")
    expect(editor(writer)).to_have_value(f"{text} one")
    save(writer, f"{text} eins")
    expect(writer.note(f"{text} eins").get_by_role("button", name="Edit note")).to_be_focused()
    expect(writer.note(f"{text} eins")).not_to_contain_text("Saving")
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_contain_text([f"{text} two", f"{text} eins"])


def test_an_edit_can_be_cancelled(writer: Person, text: str) -> None:
    """Cancel, and Escape before anything is typed, leave the note as it is."""
    note = writer.adds(text)
    begin(writer, text)
    writer.page.keyboard.press("Escape")
    expect(editor(writer)).to_have_count(0)
    expect(note.get_by_role("button", name="Edit note")).to_be_focused()
    begin(writer, text)
    editor(writer).fill("something else")
    writer.page.keyboard.press("Escape")
    expect(editor(writer)).to_have_value("something else")
    writer.page.get_by_role("button", name="Cancel").click()
    expect(note.get_by_role("button", name="Edit note")).to_be_focused()
    assert stored_notes(writer.page, text) == [text]
    assert writer.page.evaluate("Object.keys(localStorage)") == ["unexpired"]


def test_an_unfinished_edit_survives_a_reload(writer: Person, text: str) -> None:
    """The editor is open again, with what was typed."""
    writer.adds(text)
    begin(writer, text)
    editor(writer).fill(f"{text} and more")
    expect(writer.page.get_by_text("Draft saved on this device")).to_be_visible()
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(editor(writer)).to_have_value(f"{text} and more")
    writer.page.get_by_role("button", name="Save").click()
    expect(writer.note(f"{text} and more")).to_be_visible()
    expect(writer.note(text)).not_to_contain_text("Saving")
    assert stored_notes(writer.page, text) == [f"{text} and more"]


def test_an_edit_that_is_too_long_is_not_cut(writer: Person, text: str) -> None:
    """A sentence asks to shorten it; the text stays."""
    writer.adds(text)
    begin(writer, text)
    save(writer, "x" * 2_500)
    expect(writer.alert).to_contain_text("up to 2,000 characters")
    expect(editor(writer)).to_have_value("x" * 2_500)
    save(writer, f"{text} short")
    expect(writer.note(f"{text} short")).to_be_visible()


def test_edits_and_deletions_made_offline_are_sent_later(
    writer: Person, text: str, watch: Watch, context: BrowserContext
) -> None:
    """They survive a reload, a deletion can be undone, and each is sent once."""
    for name in ("edited", "deleted", "undone"):
        writer.adds(f"{text} {name}")
    context.set_offline(offline=True)
    try:
        begin(writer, f"{text} edited")
        save(writer, f"{text} changed")
        expect(writer.note(f"{text} changed")).to_contain_text(PENDING)
        for name in ("deleted", "undone"):
            writer.note(f"{text} {name}").get_by_role("button", name="Delete note").click()
        undos = writer.page.get_by_role("button", name=UNDO)
        expect(undos).to_have_count(2)
        undos.first.click()
        expect(writer.note(f"{text} undone")).to_be_visible()
        writer.page.evaluate(DUE)
    finally:
        context.set_offline(offline=False)
    expect(undos).to_have_count(0)
    expect(writer.note(f"{text} changed")).not_to_contain_text(PENDING)
    assert stored_notes(writer.page, text) == [f"{text} undone", f"{text} changed"]
    assert [a.status for a in watch.answers if "/api/notes/" in a.path] in ([200, 204], [204, 200])


def test_two_tabs_that_edit_a_note_lose_neither_text(
    writer: Person, second: Person, text: str
) -> None:
    """The page says so where the second one is saved, and keeps its text beside the note."""
    writer.adds(text)
    expect(second.note(text)).to_be_visible()
    for person in (writer, second):
        begin(person, text)
    editor(writer).fill(f"{text} by one")
    editor(second).fill(f"{text} by two")
    writer.page.get_by_role("button", name="Save").click()
    expect(writer.note(f"{text} by one")).not_to_contain_text("Saving")
    second.page.get_by_role("button", name="Save").click()
    expect(second.note(f"{text} by one")).to_be_visible()
    kept = second.note(f"{text} by two")
    expect(kept.get_by_role("alert")).to_contain_text(CHANGED)
    kept.get_by_role("button", name="Add as a new note").click()
    expect(kept.get_by_role("time")).to_be_visible()
    assert stored_notes(second.page, text) == [f"{text} by two", f"{text} by one"]


@pytest.mark.parametrize(
    ("method", "body", "reason"), [("PUT", "{} elsewhere", CHANGED), ("DELETE", None, DELETED)]
)
def test_an_edit_of_a_note_that_another_device_changed_is_kept(
    writer: Person, text: str, method: str, body: str | None, reason: str
) -> None:
    """Whether the note has another text or is gone, the page says so, and the person decides."""
    writer.adds(text)
    begin(writer, text)
    elsewhere = body and body.format(text)
    assert writer.page.evaluate(ELSEWHERE, [method, text, elsewhere]) in {200, 204}
    save(writer, f"{text} here")
    kept = writer.note(f"{text} here")
    expect(kept.get_by_role("alert")).to_contain_text(reason)
    expect(writer.note(text)).to_have_count(2 if elsewhere else 1)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(kept.get_by_role("alert")).to_contain_text(reason)
    kept.get_by_role("button", name="Discard").click()
    expect(kept).to_have_count(0)
    assert stored_notes(writer.page, text) == ([elsewhere] if elsewhere else [])


def test_an_edit_whose_response_is_lost_is_saved_once(writer: Person, text: str) -> None:
    """Repeating it is no conflict."""
    writer.adds(text)

    def lose_the_response(route: Route) -> None:
        route.fetch()
        route.abort()

    writer.page.route(ANY_NOTE, lose_the_response)
    begin(writer, text)
    save(writer, f"{text} changed")
    expect(writer.note(text)).to_contain_text("Saving…")
    writer.page.unroute_all(behavior="ignoreErrors")
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    expect(writer.note(text)).not_to_contain_text(re.compile("Saving|Waiting"))
    assert stored_notes(writer.page, text) == [f"{text} changed"]


def test_an_edit_may_be_saved_while_the_next_one_is_written(writer: Person, text: str) -> None:
    """The two are no conflict."""
    writer.adds(text)
    restore = lose(writer.page, ANY_NOTE)
    begin(writer, text)
    save(writer, f"{text} and")
    begin(writer, text)
    restore()
    with writer.page.expect_response(ANY_NOTE):
        writer.page.evaluate("dispatchEvent(new Event('online'))")
    writer.page.wait_for_function(IS_SENT)
    save(writer, f"{text} and more")
    writer.page.wait_for_function(IS_SENT)
    expect(writer.note(text)).to_have_count(1)
    assert stored_notes(writer.page, text) == [f"{text} and more"]


@pytest.mark.parametrize("leaves", ["cancels", "signs out"])
def test_giving_up_a_draft_leaves_the_edit_before(writer: Person, text: str, leaves: str) -> None:
    """Also after a reload: that edit was saved, and waits for the network."""
    writer.adds(text)
    restore = lose(writer.page, ANY_NOTE)
    begin(writer, text)
    save(writer, f"{text} saved")
    expect(writer.note(f"{text} saved")).to_be_visible()
    begin(writer, f"{text} saved")
    editor(writer).fill(f"{text} given up")
    writer.page.reload()
    expect(editor(writer)).to_have_value(f"{text} given up")
    if leaves == "cancels":
        writer.page.get_by_role("button", name="Cancel").click()
        expect(writer.note(f"{text} saved")).to_be_visible()
    else:
        writer.sign_out_button.click()
        writer.page.get_by_role("button", name="Sign out all the same").click()
        writer.is_at_sign_in()
        writer.signs_in().is_at_notes()
    restore()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    writer.page.wait_for_function(IS_SENT)
    assert stored_notes(writer.page, text) == [f"{text} saved"]


def test_a_sign_out_first_sends_what_can_still_be_undone(
    writer: Person, text: str, watch: Watch
) -> None:
    """A deletion does not stay behind on the device."""
    writer.adds(text)
    writer.note(text).get_by_role("button", name="Delete note").click()
    expect(writer.page.get_by_role("button", name=UNDO)).to_be_focused()
    writer.sign_out_button.click()
    writer.is_at_sign_in()
    calls = [sent.method for sent in watch.sent if sent.method in {"DELETE", "POST"}]
    assert calls[-2:] == ["DELETE", "POST"]
    assert writer.page.evaluate("Object.keys(localStorage)") == []


def test_a_sign_out_that_leaves_something_behind_asks_first(writer: Person, text: str) -> None:
    """The person may stay; if they leave, all is sent after their next sign-in."""
    writer.adds(text)
    restore = lose(writer.page, ANY_NOTE)
    writer.note(text).get_by_role("button", name="Delete note").click()
    writer.sign_out_button.click()
    question = writer.page.get_by_role("dialog", name="Not everything is sent")
    expect(question).to_contain_text("1 change could not be sent yet. It stays on this device")
    question.get_by_role("button", name="Stay signed in").click()
    writer.is_at_notes()
    expect(writer.sign_out_button).to_be_focused()
    writer.sign_out_button.click()
    question.get_by_role("button", name="Sign out all the same").click()
    writer.is_at_sign_in()
    restore()
    writer.page.evaluate(DUE)
    writer.signs_in().is_at_notes()
    expect(writer.note(text)).to_have_count(0)
    expect(writer.page.get_by_role("button", name=UNDO)).to_have_count(0)
    assert stored_notes(writer.page, text) == []


def test_a_deletion_is_sent_although_its_tab_is_closed(
    writer: Person, second: Person, text: str
) -> None:
    """Another tab sends it; without one, the next visit does."""
    writer.adds(f"{text} one")
    writer.adds(f"{text} two")
    expect(second.note(text)).to_have_count(2)
    second.note(f"{text} one").get_by_role("button", name="Delete note").click()
    undo = writer.page.get_by_role("button", name=UNDO)
    expect(undo).to_be_visible()
    second.page.close()
    expect(undo).to_have_count(0)
    assert stored_notes(writer.page, text) == [f"{text} two"]
    writer.note(f"{text} two").get_by_role("button", name="Delete note").click()
    expect(undo).to_be_visible()
    context = writer.page.context
    writer.page.close()
    visitor = Person(context.new_page())
    visitor.opens().is_at_notes()
    expect(visitor.page.get_by_role("button", name=UNDO)).to_have_count(0)
    expect(visitor.note(text)).to_have_count(0)
    assert stored_notes(visitor.page, text) == []


def test_only_a_deletion_in_another_tab_starts_a_timer(
    writer: Person, second: Person, text: str
) -> None:
    """An edit is due at once; a draft is not due at all."""
    second.page.add_init_script(TIMERS)
    second.page.reload()
    second.waits_until_ready().is_at_notes()
    writer.adds(text)
    expect(second.note(text)).to_be_visible()
    begin(writer, text)
    editor(writer).press_sequentially(" more")
    save(writer, f"{text} changed")
    expect(second.note(f"{text} changed")).to_be_visible()
    assert second.page.evaluate("timers") == []
    writer.note(text).get_by_role("button", name="Delete note").click()
    expect(second.page.get_by_role("button", name=UNDO)).to_be_visible()
    assert second.page.evaluate("timers") == [10_001]


def test_a_deletion_is_sent_although_another_view_is_shown(writer: Person, text: str) -> None:
    """Its time to be undone runs on there."""
    writer.adds(text)
    writer.note(text).get_by_role("button", name="Delete note").click()
    expect(writer.page.get_by_role("button", name=UNDO)).to_be_visible()
    with writer.page.expect_response(ANY_NOTE) as answer:
        writer.page.get_by_role("link", name="Devices").click()
        expect(writer.heading("Devices")).to_be_visible()
    assert (answer.value.request.method, answer.value.status) == ("DELETE", 204)
