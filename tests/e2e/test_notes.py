"""Notes, and texts that are not sent yet."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.server_process import PASSWORDS

NOTES = "**/api/notes"


def test_a_note_is_added_on_top_and_deleted(writer: Person, text: str) -> None:
    """The newest note comes first, with its time; a deleted note stays deleted."""
    writer.adds(f"{text} older")
    note = writer.adds(f"{text} newer")
    expect(writer.notes.get_by_role("listitem").first).to_contain_text(f"{text} newer")
    expect(note.get_by_role("time")).to_have_attribute("datetime", re.compile(r"^\d{4}-"))
    expect(writer.new_note).to_have_value("")
    note.get_by_role("button", name="Delete note").click()
    expect(note).to_have_count(0)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(1)
    expect(writer.note(text)).to_contain_text("older")


def test_markup_in_a_note_is_not_rendered(writer: Person, text: str) -> None:
    """A note is always shown as text."""
    writer.adds(f"<img src=x onerror=alert(1)> {text}")
    expect(writer.page.locator("main img")).to_have_count(0)


def test_an_unsent_note_survives_a_reload(writer: Person, text: str) -> None:
    """The draft is restored until the server has stored the note."""
    writer.new_note.fill(text)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.new_note).to_have_value(text)
    writer.add_button.click()
    expect(writer.note(text)).to_be_visible()
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.new_note).to_have_value("")


def test_an_unsent_note_is_shown_only_to_its_author(writer: Person, text: str) -> None:
    """Another user of the device sees neither the draft nor the notes."""
    kept = writer.adds(f"{text} sent")
    writer.new_note.fill(text)
    writer.page.evaluate("localStorage.removeItem('unexpired')")
    writer.page.reload()
    writer.waits_until_ready().signs_in("grace").is_at_notes()
    expect(writer.new_note).to_have_value("")
    expect(kept).to_have_count(0)


def test_two_notes_with_the_same_text_are_two_notes(writer: Person, text: str) -> None:
    """Only a repeated request for the same note is deduplicated."""
    writer.adds(text)
    writer.new_note.fill(text)
    writer.add_button.click()
    expect(writer.new_note).to_have_value("")
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(2)


def test_typing_while_a_note_is_sent_loses_nothing(writer: Person, text: str) -> None:
    """Text that is typed before the response arrives stays in the box."""
    release = hold(writer.page, NOTES)
    writer.new_note.fill(text)
    writer.add_button.click()
    expect(writer.add_button).to_have_attribute("aria-busy", "true")
    writer.new_note.press_sequentially(" and more")
    release()
    expect(writer.note(text)).to_be_visible()
    expect(writer.new_note).to_have_value(f"{text} and more")


def test_a_note_has_the_text_of_the_moment_of_sending(writer: Person, text: str) -> None:
    """A change right after the submission belongs to the next note."""
    writer.new_note.fill(text)
    writer.new_note.evaluate("area => { area.form.requestSubmit(); area.value = 'the next' }")
    expect(writer.note(text)).to_be_visible()
    expect(writer.new_note).to_have_value("the next")


def test_fetching_the_notes_can_be_retried(writer: Person, text: str) -> None:
    """A message and a button to try again replace the list."""
    writer.adds(text)
    restore = lose(writer.page, NOTES)
    writer.page.reload()
    writer.waits_until_ready()
    expect(writer.alert).to_contain_text("cannot be reached")
    restore()
    writer.page.get_by_role("button", name="Try again").click()
    expect(writer.note(text)).to_be_visible()
    expect(writer.alert).to_be_hidden()


@pytest.mark.parametrize("width", [320, 1400])
def test_the_page_never_scrolls_sideways(writer: Person, page: Page, text: str, width: int) -> None:
    """Even a word longer than the screen wraps."""
    page.set_viewport_size({"width": width, "height": 700})
    writer.adds(f"{text} {'x' * 300}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_long_text_is_never_cut_and_becomes_several_notes(writer: Person, text: str) -> None:
    """The box keeps all of it, says how long it is, and adds it as notes in reading order."""
    words = " ".join(f"{text} {number}" for number in range(60))
    assert len(words) > 2_000
    writer.new_note.fill(words)
    expect(writer.page.get_by_text(f"{len(words)} / 2000")).to_be_visible()
    expect(writer.page.get_by_text("nothing is cut")).to_be_visible()
    expect(writer.new_note).to_have_value(words)
    writer.page.get_by_role("button", name="Add as 2 notes").click()
    expect(writer.note(text)).to_have_count(2)
    expect(writer.new_note).to_have_value("")
    shown = writer.note(text).locator("> p").all_text_contents()
    assert " ".join(shown) == words
    assert max(map(len, shown)) <= 2_000
    expect(writer.add_button).to_be_visible()


def test_a_long_text_that_is_sent_again_is_stored_once(writer: Person, text: str) -> None:
    """If the second of its notes is refused, the text stays, and repeating it adds no copy."""
    words = " ".join(f"{text} {number}" for number in range(60))
    posts: list[Route] = []

    def refuse_the_second(route: Route) -> None:
        if route.request.method != "POST":
            return route.fallback()
        posts.append(route)
        if len(posts) == 2:
            return route.fulfill(status=413, json={"error": "Too long.", "code": "TOO_LARGE"})
        return route.fallback()

    writer.page.route(NOTES, refuse_the_second)
    writer.new_note.fill(words)
    button = writer.page.get_by_role("button", name="Add as 2 notes")
    button.click()
    expect(writer.alert).to_have_text("Too long.")
    expect(writer.new_note).to_have_value(words)
    button.click()
    expect(writer.new_note).to_have_value("")
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(2)


def test_after_an_expiry_the_username_and_the_draft_are_there(writer: Person, text: str) -> None:
    """Only the password has to be typed again; after a sign-out, the name too."""
    writer.new_note.fill(text)
    _end_session(writer)
    expect(writer.username).to_have_value("ada")
    writer.password.fill(PASSWORDS["ada"])
    writer.sign_in_button.click()
    writer.is_at_notes()
    expect(writer.new_note).to_have_value(text)
    writer.sign_out_button.click()
    writer.page.get_by_role("button", name="Sign out all the same").click()  # The draft is deleted.
    writer.is_at_sign_in()
    expect(writer.username).to_have_value("")


def test_a_deletion_can_be_undone(writer: Person, text: str) -> None:
    """The note is back in its place; the keyboard's focus is never lost on the way."""
    writer.adds(f"{text} older")
    note = writer.adds(f"{text} newer")
    note.get_by_role("button", name="Delete note").focus()
    writer.page.keyboard.press("Enter")
    undo = writer.page.get_by_role("button", name=f"Undo: delete note {text[:20]}")
    expect(undo).to_be_focused()
    expect(note).to_have_count(0)
    writer.page.keyboard.press("Enter")
    expect(note.get_by_role("button").first).to_be_focused()
    expect(writer.notes.get_by_role("listitem").first).to_contain_text(f"{text} newer")
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(2)


def test_a_deletion_is_sent_when_it_can_no_longer_be_undone(
    writer: Person, text: str, watch: Watch
) -> None:
    """It waits on the device until then; the focus goes on to the next note."""
    writer.adds(f"{text} older")
    note = writer.adds(f"{text} newer")
    note.get_by_role("button", name="Delete note").click()
    undo = writer.page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    assert "DELETE" not in {sent.method for sent in watch.sent}
    expect(undo).to_have_count(0)
    expect(writer.note(f"{text} older")).to_be_focused()
    assert [answer.status for answer in watch.answers if "/api/notes/" in answer.path] == [204]
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(1)
    assert writer.page.evaluate("Object.keys(localStorage)") == ["unexpired"]


def _end_session(person: Person) -> None:
    """Let the server say that the session has ended."""
    revoked = {"error": "This session has ended.", "code": "SESSION_REVOKED"}
    person.page.route(NOTES, lambda route: route.fulfill(status=401, json=revoked))
    person.page.evaluate("location.hash = '#/secret-key'")
    person.page.evaluate("location.hash = '#/notes'")
    person.is_at_sign_in()
    person.page.unroute(NOTES)
