"""Notes, and what becomes of a text that is not sent yet."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.faults import hold, lose
from tests.e2e.person import Person

NOTES = "**/api/notes"


def test_a_note_is_added_on_top_and_deleted(writer: Person, text: str) -> None:
    """The newest note stands first with its time; deleted, it is gone for good."""
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


def test_markup_in_a_note_is_text(writer: Person, text: str) -> None:
    """A note is shown as it was written, whatever it looks like."""
    writer.adds(f"<img src=x onerror=alert(1)> {text}")
    expect(writer.page.locator("main img")).to_have_count(0)


def test_an_unsent_note_survives_a_reload(writer: Person, text: str) -> None:
    """What was typed is there again, until the server has it."""
    writer.new_note.fill(text)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.new_note).to_have_value(text)
    writer.add_button.click()
    expect(writer.note(text)).to_be_visible()
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.new_note).to_have_value("")


def test_an_unsent_note_is_its_writers_alone(writer: Person, text: str) -> None:
    """Another user of the device sees neither the draft nor the notes."""
    kept = writer.adds(f"{text} sent")
    writer.new_note.fill(text)
    writer.page.evaluate("localStorage.removeItem('unexpired')")
    writer.page.reload()
    writer.waits_until_ready().signs_in("grace").is_at_notes()
    expect(writer.new_note).to_have_value("")
    expect(kept).to_have_count(0)


def test_two_notes_with_the_same_words_are_two(writer: Person, text: str) -> None:
    """Only a repeat of one note counts as the same note."""
    writer.adds(text)
    writer.new_note.fill(text)
    writer.add_button.click()
    expect(writer.new_note).to_have_value("")
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(2)


def test_typing_on_while_a_note_is_sent_loses_nothing(writer: Person, text: str) -> None:
    """What is typed before the answer comes stays in the box."""
    release = hold(writer.page, NOTES)
    writer.new_note.fill(text)
    writer.add_button.click()
    expect(writer.add_button).to_have_attribute("aria-busy", "true")
    writer.new_note.press_sequentially(" and more")
    release()
    expect(writer.note(text)).to_be_visible()
    expect(writer.new_note).to_have_value(f"{text} and more")


def test_what_is_sent_is_what_stood_there_when_it_was_sent(writer: Person, text: str) -> None:
    """Even a change in the very same moment is a change to the next note."""
    writer.new_note.fill(text)
    writer.new_note.evaluate("area => { area.form.requestSubmit(); area.value = 'the next' }")
    expect(writer.note(text)).to_be_visible()
    expect(writer.new_note).to_have_value("the next")


def test_notes_that_cannot_be_fetched_can_be_asked_for_again(writer: Person, text: str) -> None:
    """The sentence stands where the notes would be, with a button that tries again."""
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
    """Not even with a word longer than the screen."""
    page.set_viewport_size({"width": width, "height": 700})
    writer.adds(f"{text} {'x' * 300}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
