"""Notes that cannot be sent: they wait on the device, and go out once."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch

NOTES = "**/api/notes"
POST = "POST /api/notes"
WAITING = "Waiting for the network…"
SERVER_HAS = """async () => {
    const {accessToken} = JSON.parse(localStorage.getItem("unexpired"));
    const reply = await fetch("/api/notes", {headers: {Authorization: `Bearer ${accessToken}`}});
    return (await reply.json()).notes.map(note => note.text);
}"""


@pytest.fixture
def second(writer: Person) -> Person:
    """The same person in another tab."""
    person = Person(writer.page.context.new_page())
    person.opens().is_at_notes()
    return person


def server_has(page: Page, text: str) -> list[str]:
    """The notes with this text that the server has, newest first."""
    return [note for note in page.evaluate(SERVER_HAS) if text in note]


def waiting(person: Person, text: str) -> Locator:
    """The notes with this text that wait."""
    return person.note(text).filter(has_text=WAITING)


def sent(person: Person, text: str) -> Locator:
    """The notes with this text that the server has, as far as the page knows."""
    return person.note(text).filter(has=person.page.get_by_role("time"))


def writes(person: Person, text: str) -> None:
    """Add a note that has to wait."""
    person.new_note.fill(text)
    person.add_button.click()
    expect(waiting(person, text)).to_be_visible()
    expect(person.new_note).to_have_value("")


def test_notes_written_offline_go_out_once_and_in_order(
    writer: Person, text: str, watch: Watch, context: BrowserContext
) -> None:
    """Each is in the list at once and the box is free; back online, the server gets each once."""
    context.set_offline(offline=True)
    try:
        for number in range(3):
            writes(writer, f"{text} {number}")
        expect(writer.page.get_by_text("3 notes wait on this device")).to_be_visible()
    finally:
        context.set_offline(offline=False)
    expect(sent(writer, text)).to_have_count(3)
    expect(waiting(writer, text)).to_have_count(0)
    expected = [f"{text} {number}" for number in (2, 1, 0)]
    expect(sent(writer, text)).to_contain_text(expected)
    assert server_has(writer.page, text) == expected
    assert [answer.status for answer in watch.answers if answer.path == "/api/notes"].count(
        201
    ) == 3


def test_a_waiting_note_outlives_everything_and_is_its_writers_alone(
    writer: Person, text: str, watch: Watch
) -> None:
    """A reload and a sign-out lose nothing; another user sees and sends nothing of it."""
    page = writer.page
    restore = lose(page, NOTES)
    writes(writer, text)
    page.reload()
    writer.waits_until_ready()
    expect(waiting(writer, text)).to_be_visible()
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
    expect(sent(writer, text)).to_have_count(1)
    assert server_has(page, text) == [text]
    assert page.evaluate("Object.keys(localStorage)") == ["unexpired"]


def test_of_two_tabs_one_sends_what_waits(writer: Person, second: Person, text: str) -> None:
    """What waits is seen in both; both learn that the network is back; the server hears once."""
    context = writer.page.context

    def cut(route: Route) -> None:
        route.abort()

    context.route(NOTES, cut)
    for number in range(3):
        writes(writer, f"{text} {number}")
    expect(waiting(second, text)).to_have_count(3)
    answered = []
    context.on("response", lambda reply: answered.append(reply.request.method))
    context.unroute(NOTES)
    for person in (writer, second):
        person.page.evaluate("dispatchEvent(new Event('online'))")
    for person in (writer, second):
        expect(sent(person, text)).to_have_count(3)
        expect(waiting(person, text)).to_have_count(0)
    assert answered.count("POST") == 3
    assert server_has(writer.page, text) == [f"{text} {number}" for number in (2, 1, 0)]


def test_a_note_whose_answer_is_lost_is_there_once(
    writer: Person, watch: Watch, text: str, browser_name: str
) -> None:
    """It waits, is tried again by itself under the same key, and the server adds one."""
    if browser_name == "firefox":
        pytest.skip("Firefox's driver hands over no body that could be sent on.")

    def lose_the_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.fallback()

    writer.page.route(NOTES, lose_the_answer)
    writes(writer, text)
    writer.page.reload()
    writer.waits_until_ready()
    expect(sent(writer, text)).to_have_count(1)
    expect(waiting(writer, text)).to_have_count(1)
    writer.page.unroute_all(behavior="ignoreErrors")  # An attempt may be under way.
    expect(waiting(writer, text)).to_have_count(0)
    expect(sent(writer, text)).to_have_count(1)
    assert server_has(writer.page, text) == [text]
    calls = watch.calls(POST)
    assert len(calls) > 1
    assert len({call.headers["idempotency-key"] for call in calls}) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 503, "json": {"error": "Later.", "code": "UNAVAILABLE"}},
        {"status": 200, "content_type": "text/html", "body": "<h1>Welcome to our Wi-Fi</h1>"},
    ],
    ids=["outage", "portal"],
)
def test_what_is_no_answer_leaves_a_note_waiting(
    writer: Person, text: str, answer: dict[str, Any]
) -> None:
    """A server that cannot serve and a captive portal have not taken the note."""
    writer.page.route(NOTES, lambda route: route.fulfill(**answer))
    writes(writer, text)
    writer.page.unroute(NOTES)
    expect(sent(writer, text)).to_have_count(1)


def test_a_slow_answer_makes_room_for_the_next_note(writer: Person, text: str) -> None:
    """Who has waited for some seconds can write on; the note is there once in the end."""
    writer.page.route(NOTES, lambda _: None)
    writes(writer, text)
    writer.page.unroute(NOTES)
    writer.page.reload()
    writer.waits_until_ready()
    expect(sent(writer, text)).to_have_count(1)
    assert server_has(writer.page, text) == [text]


def test_a_refused_note_says_why_and_holds_nobody_up(writer: Person, text: str) -> None:
    """The sentence stands beside the note, which can be tried again or discarded; the next goes."""
    refused: list[Route] = []

    def refuse(route: Route) -> None:
        if route.request.method == "POST" and len(refused) < 2:
            refused.append(route)
            route.fulfill(status=413, json={"error": "Too long for us.", "code": "TOO_LARGE"})
        else:
            route.fallback()

    restore = lose(writer.page, NOTES)
    for name in ("bad one", "bad two", "good"):
        writes(writer, f"{text} {name}")
    writer.page.route(NOTES, refuse)  # First: between the two, a note could slip through.
    restore()
    expect(sent(writer, f"{text} good")).to_have_count(1)
    for name in ("bad one", "bad two"):
        expect(writer.note(f"{text} {name}").get_by_role("alert")).to_have_text("Too long for us.")
    writer.note(f"{text} bad one").get_by_role("button", name="Discard").click()
    expect(writer.new_note).to_be_focused()
    expect(writer.note(f"{text} bad one")).to_have_count(0)
    writer.page.unroute(NOTES)
    writer.note(f"{text} bad two").get_by_role("button", name="Try again").click()
    expect(sent(writer, f"{text} bad two")).to_have_count(1)
    assert server_has(writer.page, text) == [f"{text} bad two", f"{text} good"]


def test_a_note_that_can_wait_nowhere_stays_in_the_box(writer: Person, text: str) -> None:
    """With the storage full, the text stays where it is and the sentence beside it says so."""
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
    expect(writer.alert).to_contain_text("stays in the box")
    expect(writer.new_note).to_have_value(text)
    restore()
    writer.add_button.click()
    expect(sent(writer, text)).to_have_count(1)


def test_a_session_that_ends_while_a_note_is_sent_leaves_a_draft(writer: Person, text: str) -> None:
    """Nothing waits behind the person's back: the text is in the box again after the sign-in."""
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
    expect(sent(writer, text)).to_have_count(1)
