"""Drafts sync across tabs without losing text."""

from playwright.sync_api import Route, expect

from tests.e2e.person import Person
from tests.e2e.watch import Watch

NOTES = "**/api/notes"
POST = "POST /api/notes"


def leaves_the_box(person: Person) -> None:
    person.heading("Notes").focus()


def test_a_draft_is_the_same_in_every_tab_until_it_is_sent(
    writer: Person, second: Person, text: str
) -> None:
    """An edit in either tab appears in the other; sending clears both boxes."""
    writer.new_note.press_sequentially(text)
    expect(second.new_note).to_have_value(text)
    leaves_the_box(writer)
    second.new_note.focus()
    second.new_note.press("End")
    second.new_note.press_sequentially(" and more")
    expect(writer.new_note).to_have_value(f"{text} and more")
    writer.add_button.click()
    expect(writer.note(f"{text} and more")).to_be_visible()
    for person in (writer, second):
        expect(person.new_note).to_have_value("")
    expect(second.note(f"{text} and more")).to_be_visible()


def test_a_visible_text_is_never_replaced(writer: Person, second: Person, text: str) -> None:
    """Two tabs that are edited at once each keep their own text, also when one loses the focus."""
    writer.new_note.fill(f"{text} one")
    expect(second.new_note).to_have_value(f"{text} one")
    # Not every browser gives two tabs the focus at once.
    writer.page.evaluate("document.hasFocus = () => true")
    second.new_note.fill(f"{text} two")
    leaves_the_box(second)
    writer.new_note.press("End")
    writer.new_note.press_sequentially(" and more")
    third = Person(writer.page.context.new_page())
    third.opens().is_at_notes()
    expect(third.new_note).to_have_value(f"{text} one and more")
    expect(second.new_note).to_have_value(f"{text} two")
    writer.add_button.click()
    expect(third.new_note).to_have_value("")
    expect(second.new_note).to_have_value(f"{text} two")


def test_a_draft_that_is_sent_from_two_tabs_is_stored_once(
    writer: Person, second: Person, text: str, watch: Watch
) -> None:
    """Both tabs send the same text with the same key."""

    def lose_the_response(route: Route) -> None:
        route.fetch()

    writer.new_note.fill(text)
    expect(second.new_note).to_have_value(text)
    writer.page.route(NOTES, lose_the_response)
    writer.add_button.click()
    second.add_button.click()
    expect(second.note(text)).to_have_count(1)
    writer.page.unroute(NOTES)
    writer.page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(writer.note(text)).to_have_count(1)
    assert len({call.headers["idempotency-key"] for call in watch.calls(POST)}) == 1


def test_a_sign_out_asks_before_it_deletes_a_draft(writer: Person, text: str) -> None:
    """From any view; the person may stay and finish the text."""
    page = writer.page
    writer.new_note.fill(text)
    page.goto("/#/activity")
    page.reload()
    writer.waits_until_ready()
    question = page.get_by_role("dialog", name="Not everything is sent")
    writer.sign_out_button.click()
    expect(question).to_contain_text("What you have begun to write and not saved yet is deleted")
    question.get_by_role("button", name="Stay signed in").click()
    page.goto("/#/notes")
    expect(writer.new_note).to_have_value(text)
    page.goto("/#/activity")
    page.reload()
    writer.waits_until_ready()
    writer.sign_out_button.click()
    question.get_by_role("button", name="Sign out all the same").click()
    writer.is_at_sign_in()
    assert page.evaluate("localStorage.length") == 0


def test_a_sign_out_asks_before_it_deletes_an_unfinished_edit(writer: Person, text: str) -> None:
    """An edit is a text that was not saved, too."""
    writer.adds(text).get_by_role("button", name="Edit note").click()
    writer.page.get_by_role("textbox", name="Text of the note").fill(f"{text} and more")
    writer.sign_out_button.click()
    question = writer.page.get_by_role("dialog", name="Not everything is sent")
    expect(question).to_contain_text("is deleted if you sign out")
    question.get_by_role("button", name="Sign out all the same").click()
    writer.is_at_sign_in()
    assert writer.page.evaluate("localStorage.length") == 0
