"""Notes that cannot be sent: they are queued on the device and delivered exactly once."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Route, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.stored_notes import stored_notes
from tests.e2e.watch import Watch

NOTES = "**/api/notes"
POST = "POST /api/notes"
PENDING = "Waiting for the network…"


def pending(person: Person, text: str) -> Locator:
    """Return the items of pending notes with this text."""
    return person.note(text).filter(has_text=PENDING)


def stored(person: Person, text: str) -> Locator:
    """Return the items of stored notes with this text: those with a time."""
    return person.note(text).filter(has=person.page.get_by_role("time"))


def queue(person: Person, text: str) -> None:
    """Add a note while it cannot be sent."""
    person.new_note.fill(text)
    person.add_button.click()
    expect(pending(person, text)).to_be_visible()
    expect(person.new_note).to_have_value("")


def test_notes_written_offline_are_delivered_once_and_in_order(
    writer: Person, text: str, watch: Watch, context: BrowserContext
) -> None:
    """Each is in the list at once and the box is empty; back online, each is delivered once."""
    context.set_offline(offline=True)
    try:
        for number in range(3):
            queue(writer, f"{text} {number}")
        expect(writer.page.get_by_text("3 notes are waiting to be sent")).to_be_visible()
    finally:
        context.set_offline(offline=False)
    expect(stored(writer, text)).to_have_count(3)
    expect(pending(writer, text)).to_have_count(0)
    expected = [f"{text} {number}" for number in (2, 1, 0)]
    expect(stored(writer, text)).to_contain_text(expected)
    assert stored_notes(writer.page, text) == expected
    assert [one.status for one in watch.answers if one.path == "/api/notes"].count(201) == 3


def test_a_pending_note_survives_and_is_shown_only_to_its_author(
    writer: Person, text: str, watch: Watch
) -> None:
    """A reload and a sign-out keep it; another user's page neither shows nor sends it."""
    page = writer.page
    restore = lose(page, NOTES)
    queue(writer, text)
    page.reload()
    writer.waits_until_ready()
    expect(pending(writer, text)).to_be_visible()
    writer.sign_out_button.click()
    writer.is_at_sign_in()
    expect(writer.note(text)).to_have_count(0)
    restore()
    watch.sent.clear()
    writer.signs_in("grace").is_at_notes()
    expect(writer.note(text)).to_have_count(0)
    page.evaluate("localStorage.removeItem('unexpired')")
    page.reload()
    writer.waits_until_ready().is_at_sign_in()
    assert watch.count(POST) == 0
    writer.signs_in("ada")
    expect(stored(writer, text)).to_have_count(1)
    assert stored_notes(page, text) == [text]
    assert page.evaluate("Object.keys(localStorage)") == ["unexpired"]


def test_one_of_two_tabs_sends_the_pending_notes(writer: Person, second: Person, text: str) -> None:
    """Both tabs show the notes and see the network return; the server gets each note once."""
    context = writer.page.context

    def cut(route: Route) -> None:
        route.abort()

    context.route(NOTES, cut)
    for number in range(3):
        queue(writer, f"{text} {number}")
    expect(pending(second, text)).to_have_count(3)
    methods = []
    context.on("response", lambda response: methods.append(response.request.method))
    context.unroute(NOTES)
    for person in (writer, second):
        person.page.evaluate("dispatchEvent(new Event('online'))")
    for person in (writer, second):
        expect(stored(person, text)).to_have_count(3)
        expect(pending(person, text)).to_have_count(0)
    assert methods.count("POST") == 3
    assert stored_notes(writer.page, text) == [f"{text} {number}" for number in (2, 1, 0)]


@pytest.fixture
def unanswered(writer: Person, browser_name: str) -> Person:
    """A writer whose notes are stored, but who gets no response."""
    if browser_name == "firefox":
        pytest.skip("Firefox's driver does not provide the request's body.")

    def lose_the_response(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.fallback()

    writer.page.route(NOTES, lose_the_response)
    return writer


def test_a_note_whose_response_is_lost_is_stored_once(
    unanswered: Person, watch: Watch, text: str
) -> None:
    """It is queued and sent again with the same key, so the server stores one note."""
    writer = unanswered
    queue(writer, text)
    writer.page.reload()
    writer.waits_until_ready()
    expect(stored(writer, text)).to_have_count(1)
    expect(pending(writer, text)).to_have_count(1)
    writer.page.unroute_all(behavior="ignoreErrors")  # A request may be pending.
    expect(pending(writer, text)).to_have_count(0)
    expect(stored(writer, text)).to_have_count(1)
    assert stored_notes(writer.page, text) == [text]
    calls = watch.calls(POST)
    assert len(calls) > 1
    assert len({call.headers["idempotency-key"] for call in calls}) == 1


@pytest.mark.parametrize(
    "response",
    [
        {"status": 503, "json": {"error": "Later.", "code": "UNAVAILABLE"}},
        {"status": 200, "content_type": "text/html", "body": "<h1>Welcome to our Wi-Fi</h1>"},
    ],
    ids=["outage", "portal"],
)
def test_an_outage_or_a_captive_portal_leaves_a_note_pending(
    writer: Person, text: str, response: dict[str, Any]
) -> None:
    """Only a response with a note, or a refusal, ends the attempts."""
    writer.page.route(NOTES, lambda route: route.fulfill(**response))
    queue(writer, text)
    writer.page.unroute(NOTES)
    expect(stored(writer, text)).to_have_count(1)


def test_a_slow_response_does_not_block_the_next_note(writer: Person, text: str) -> None:
    """After some seconds the note is queued and the box is empty; the note is stored once."""
    writer.page.route(NOTES, lambda _: None)
    queue(writer, text)
    writer.page.unroute(NOTES)
    writer.page.reload()
    writer.waits_until_ready()
    expect(stored(writer, text)).to_have_count(1)
    assert stored_notes(writer.page, text) == [text]


def test_a_refused_note_shows_why_and_does_not_block_the_next(writer: Person, text: str) -> None:
    """The note shows the error, and can be sent again or discarded; the next note is sent."""
    refused: list[Route] = []

    def refuse(route: Route) -> None:
        if route.request.method == "POST" and len(refused) < 2:
            refused.append(route)
            route.fulfill(status=413, json={"error": "Too long for us.", "code": "TOO_LARGE"})
        else:
            route.fallback()

    restore = lose(writer.page, NOTES)
    for name in ("bad one", "bad two", "good"):
        queue(writer, f"{text} {name}")
    writer.page.route(NOTES, refuse)  # Before the network returns, or a note could be stored.
    restore()
    expect(stored(writer, f"{text} good")).to_have_count(1)
    for name in ("bad one", "bad two"):
        expect(writer.note(f"{text} {name}").get_by_role("alert")).to_have_text("Too long for us.")
    writer.note(f"{text} bad one").get_by_role("button", name="Discard").click()
    expect(writer.new_note).to_be_focused()
    expect(writer.note(f"{text} bad one")).to_have_count(0)
    writer.page.unroute(NOTES)
    writer.note(f"{text} bad two").get_by_role("button", name="Try again").click()
    expect(stored(writer, f"{text} bad two")).to_have_count(1)
    assert stored_notes(writer.page, text) == [f"{text} bad two", f"{text} good"]


def test_a_note_that_cannot_be_queued_stays_in_the_text_box(writer: Person, text: str) -> None:
    """If the storage is full, the text stays in the box and a message explains it."""
    writer.page.evaluate(
        """() => {
            const setItem = Storage.prototype.setItem;
            Storage.prototype.setItem = function (name, value) {
                if (name.includes(".waiting.")) throw new DOMException("", "QuotaExceededError");
                setItem.call(this, name, value);
            };
        }"""
    )
    restore = lose(writer.page, NOTES)
    writer.new_note.fill(text)
    writer.add_button.click()
    expect(writer.alert).to_contain_text("stays in the text box")
    expect(writer.new_note).to_have_value(text)
    restore()
    writer.add_button.click()
    expect(stored(writer, text)).to_have_count(1)


def test_a_session_that_ends_while_a_note_is_sent_leaves_a_draft(writer: Person, text: str) -> None:
    """The note is not queued; its text is in the box again after the sign-in."""
    revoked = {"error": "This session has ended.", "code": "SESSION_REVOKED"}
    writer.page.route(NOTES, lambda route: route.fulfill(status=401, json=revoked))
    writer.new_note.fill(text)
    writer.add_button.click()
    writer.is_at_sign_in()
    writer.page.unroute(NOTES)
    writer.signs_in().is_at_notes()
    expect(writer.new_note).to_have_value(text)
    expect(writer.note(text)).to_have_count(0)
    writer.add_button.click()
    expect(stored(writer, text)).to_have_count(1)


def editor(person: Person) -> Locator:
    """Return the box in which a note is edited."""
    return person.page.get_by_role("textbox", name="Text of the note")


def editor_of_stored(person: Person) -> Locator:
    """Return the box in which a note is edited that the server has."""
    return person.page.locator("li[data-id]").get_by_role("textbox", name="Text of the note")


def begin(person: Person, text: str) -> None:
    """Open the editor of a pending note."""
    person.page.bring_to_front()  # Elsewhere Firefox gives nothing the focus.
    pending(person, text).get_by_role("button", name="Edit note").click()
    expect(editor(person)).to_be_focused()


def edit(person: Person, text: str, new_text: str) -> None:
    """Give a pending note another text, and save it by the keyboard."""
    begin(person, text)
    expect(editor(person)).to_have_value(text)
    editor(person).fill(new_text)
    editor(person).press("Control+Enter")
    expect(pending(person, new_text).get_by_role("button", name="Edit note")).to_be_focused()


def is_delivered(person: Person, text: str, notes: list[str]) -> None:
    """Expect that these are the stored notes, and that nothing waits."""
    expect(stored(person, text)).to_have_count(len(notes))
    expect(pending(person, text)).to_have_count(0)
    for note in notes:
        expect(stored(person, note)).not_to_contain_text("Saving")
    assert stored_notes(person.page, text) == notes
    assert person.page.evaluate("Object.keys(localStorage)") == ["unexpired"]


def test_a_pending_note_is_edited(writer: Person, text: str) -> None:
    """Its new text survives a reload, and is the only one when all is sent."""
    restore = lose(writer.page, NOTES)
    for name in ("one", "two"):
        queue(writer, f"{text} {name}")
    edit(writer, f"{text} one", f"{text} eins")
    edit(writer, f"{text} two", f"{text} zwei")
    edit(writer, f"{text} zwei", f"{text} due")
    writer.page.reload()
    writer.waits_until_ready()
    expect(pending(writer, text)).to_contain_text([f"{text} due", f"{text} eins"])
    restore()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    is_delivered(writer, text, [f"{text} due", f"{text} eins"])


def test_an_edit_of_a_pending_note_can_be_cancelled_and_goes_on_after_a_reload(
    writer: Person, text: str
) -> None:
    """Escape leaves an editor without a new text; a draft is there again, and can be dropped."""
    lose(writer.page, NOTES)
    queue(writer, text)
    begin(writer, text)
    editor(writer).press("Escape")
    expect(pending(writer, text).get_by_role("button", name="Edit note")).to_be_focused()
    begin(writer, text)
    editor(writer).fill(f"{text} and more")
    editor(writer).press("Escape")
    expect(writer.page.get_by_text("Draft saved on this device")).to_be_visible()
    expect(writer.page.get_by_text(f"{len(text) + 9} / 2000")).to_be_visible()
    writer.page.reload()
    writer.waits_until_ready()
    expect(editor(writer)).to_have_value(f"{text} and more")
    writer.page.get_by_role("button", name="Cancel").click()
    expect(pending(writer, text)).not_to_contain_text("and more")
    writer.page.unroute_all()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    is_delivered(writer, text, [text])


@pytest.mark.parametrize("is_typed", [True, False], ids=["typed", "untouched"])
def test_a_note_may_be_delivered_while_it_is_edited(
    writer: Person, text: str, *, is_typed: bool
) -> None:
    """The editor goes on at the stored note, with the cursor where it was."""
    restore = lose(writer.page, NOTES)
    queue(writer, text)
    begin(writer, text)
    editor(writer).press("Home")
    if is_typed:
        editor(writer).press_sequentially("so ")
    restore()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    expect(editor_of_stored(writer)).to_be_focused()
    expect(pending(writer, text)).to_have_count(0)
    writer.page.keyboard.type("far ")
    new_text = f"so far {text}" if is_typed else f"far {text}"
    expect(editor(writer)).to_have_value(new_text)
    writer.page.keyboard.press("Control+Enter")
    expect(editor(writer)).to_have_count(0)
    is_delivered(writer, text, [new_text])


def test_a_cancelled_edit_leaves_the_one_before(writer: Person, text: str) -> None:
    """Also where the note was delivered meanwhile: what was saved first is saved."""
    restore = lose(writer.page, "**/api/notes**")
    queue(writer, text)
    edit(writer, text, f"{text} changed")
    begin(writer, f"{text} changed")
    editor(writer).fill("something else")
    restore()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    expect(editor_of_stored(writer)).to_be_focused()
    writer.page.get_by_role("button", name="Cancel").click()
    is_delivered(writer, text, [f"{text} changed"])


def test_an_edited_note_whose_response_was_lost_is_stored_once(
    unanswered: Person, text: str
) -> None:
    """The server has its first text by then; it is replaced."""
    writer = unanswered
    queue(writer, text)
    edit(writer, text, f"{text} changed")
    writer.page.reload()
    writer.waits_until_ready()
    expect(stored(writer, text)).to_have_count(1)
    expect(pending(writer, f"{text} changed")).to_have_count(1)
    begin(writer, f"{text} changed")
    editor(writer).fill(f"{text} changed twice")
    writer.page.unroute_all(behavior="ignoreErrors")  # A request may be pending.
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    expect(editor_of_stored(writer)).to_be_focused()
    editor(writer).press("Control+Enter")
    is_delivered(writer, text, [f"{text} changed twice"])


def test_another_tab_may_deliver_a_note_that_is_edited(
    writer: Person, second: Person, text: str
) -> None:
    """The edit goes on at the stored note, only in the tab where it was begun."""

    def abort(route: Route) -> None:
        if route.request.method == "POST":
            route.abort()
        else:
            route.fallback()

    writer.page.route(NOTES, abort)
    restore = lose(second.page, NOTES)
    queue(writer, text)
    begin(writer, text)
    editor(writer).fill(f"{text} and")
    expect(pending(second, text)).to_have_count(1)
    restore()
    second.page.evaluate("dispatchEvent(new Event('online'))")
    expect(stored(second, text)).to_have_count(1)
    expect(editor(second)).to_have_count(0)
    expect(editor_of_stored(writer)).to_be_focused()
    writer.page.keyboard.type(" more")
    writer.page.keyboard.press("Control+Enter")
    is_delivered(writer, text, [f"{text} and more"])


def test_a_text_whose_note_another_tab_discarded_is_kept(
    writer: Person, second: Person, text: str
) -> None:
    """It stays in the list, and can be added as a new note."""
    restores = [lose(person.page, NOTES) for person in (writer, second)]
    queue(writer, text)
    begin(writer, text)
    editor(writer).fill(f"{text} and more")
    pending(second, text).get_by_role("button", name="Discard").click()
    kept = writer.note(f"{text} and more")
    expect(kept.get_by_role("alert")).to_contain_text("Your text is kept here")
    expect(writer.note(text)).to_have_count(1)
    for restore in restores:
        restore()
    kept.get_by_role("button", name="Edit note").click()
    editor(writer).fill(f"{text} kept")
    editor(writer).press("Control+Enter")
    kept = writer.note(f"{text} kept")
    expect(kept.get_by_role("alert")).to_contain_text("Your text is kept here")
    kept.get_by_role("button", name="Add as a new note").click()
    is_delivered(writer, text, [f"{text} kept"])


def test_a_refused_note_is_sent_again_once_it_is_edited(writer: Person, text: str) -> None:
    """The server gets the new text."""
    refusal = {"error": "Not like this.", "code": "BAD_REQUEST"}
    restore = lose(writer.page, NOTES)
    queue(writer, f"{text} bad")
    writer.page.route(NOTES, lambda route: route.fulfill(status=400, json=refusal))
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    refused = writer.note(f"{text} bad")
    expect(refused.get_by_role("alert")).to_have_text("Not like this.")
    writer.page.unroute(NOTES)
    restore()
    refused.get_by_role("button", name="Edit note").click()
    editor(writer).fill(f"{text} good")
    editor(writer).press("Control+Enter")
    is_delivered(writer, text, [f"{text} good"])


def test_an_edit_that_the_device_cannot_store_stays_in_its_editor(
    writer: Person, text: str
) -> None:
    """A message explains it; once the note is delivered, the edit can be saved."""
    restore = lose(writer.page, NOTES)
    queue(writer, text)
    writer.page.evaluate(
        """() => {
            const setItem = Storage.prototype.setItem;
            Storage.prototype.setItem = function (name, value) {
                if (name.includes(".changes.")) throw new DOMException("", "QuotaExceededError");
                setItem.call(this, name, value);
            };
        }"""
    )
    begin(writer, text)
    editor(writer).fill(f"{text} changed")
    editor(writer).press("Control+Enter")
    expect(writer.alert).to_contain_text("stays in the text box")
    restore()
    writer.page.evaluate("dispatchEvent(new Event('online'))")
    expect(editor_of_stored(writer)).to_be_focused()
    editor(writer).press("Control+Enter")
    is_delivered(writer, text, [f"{text} changed"])


def test_a_sign_out_sends_an_edited_note_and_its_edit(
    writer: Person, text: str, watch: Watch
) -> None:
    """Nothing of it stays behind on the device."""
    restore = lose(writer.page, NOTES)
    queue(writer, text)
    edit(writer, text, f"{text} changed")
    restore()
    watch.answers.clear()
    writer.sign_out_button.click()
    writer.is_at_sign_in()
    assert writer.page.evaluate("Object.keys(localStorage)") == []
    calls = [answer.status for answer in watch.answers if answer.path.startswith("/api/notes")]
    assert calls.count(201) == 1
    writer.signs_in().is_at_notes()
    is_delivered(writer, text, [f"{text} changed"])
