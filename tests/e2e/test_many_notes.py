"""Thousands of notes: only what is looked at is drawn, and the rest can be reached."""

import sqlite3
from contextlib import closing

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.person import Person
from tests.support.server_process import DATABASE, ServerProcess

COUNT = 1_020
"""More than one page of the server's."""

FEW = 100
ALL_OF_A_VIEW = f"""() => document.querySelectorAll("main li").length < {FEW}"""
MORE = """(before) => {
    scrollTo(0, document.documentElement.scrollHeight);
    return document.querySelectorAll("main li").length > before;
}"""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The settings of a server that no other test uses."""
    return {"access_ttl": 899}


@pytest.fixture(autouse=True)
def _many_notes(backend: ServerProcess) -> None:
    """Store the notes, as another program would."""
    with closing(sqlite3.connect(backend.folder / DATABASE)) as database, database:
        (user_id,) = database.execute("SELECT id FROM users WHERE username = 'ada'").fetchone()
        database.execute("DELETE FROM notes")
        database.executemany(
            "INSERT INTO notes (user_id, text, created_at) VALUES (?, ?, ?)",
            [(user_id, f"number {number};", 1.0) for number in range(COUNT)],
        )


@pytest.fixture
def items(writer: Person) -> Locator:
    """The items of the list of a person who is signed in."""
    return writer.notes.get_by_role("listitem")


def test_a_list_is_drawn_as_far_as_it_is_looked_at(page: Page, items: Locator) -> None:
    """Scrolling brings the next ones, also those of the server's next page."""
    expect(items.first).to_contain_text(f"number {COUNT - 1};")
    assert page.evaluate(ALL_OF_A_VIEW)
    while (drawn := page.locator("main li").count()) < COUNT:
        page.wait_for_function(MORE, arg=drawn)
    expect(items.last).to_contain_text("number 0;")


def test_a_note_far_down_is_found_by_a_search(page: Page, items: Locator) -> None:
    """The server searches, so a note need not be loaded; the end of the search shows the top."""
    search = page.get_by_role("searchbox", name="Search notes")
    search.fill("7; NUMBER")
    expect(items.first).to_contain_text(f"number {COUNT - 3};")
    search.fill("500; number")
    expect(items).to_have_count(1)
    search.fill("nothing like that")
    expect(page.get_by_text("No note has all of these words.")).to_be_visible()
    search.fill("")
    expect(items.first).to_contain_text(f"number {COUNT - 1};")
    assert page.evaluate(ALL_OF_A_VIEW)


def test_a_note_is_added_to_what_is_found_only_if_it_fits(writer: Person, page: Page) -> None:
    """A new note without the words that are searched for is not shown, but stored."""
    page.get_by_role("searchbox", name="Search notes").fill("500; number")
    expect(writer.note("number 500;")).to_be_visible()
    expect(writer.note("number 400;")).to_have_count(0)
    writer.adds("another number 500;")
    writer.new_note.fill("something else")
    writer.new_note.press("Control+Enter")
    expect(writer.new_note).to_have_value("")
    expect(writer.note("something else")).to_have_count(0)
    page.get_by_role("searchbox", name="Search notes").fill("")
    expect(writer.note("something else")).to_be_visible()


def test_the_arrow_keys_move_through_the_list(page: Page, items: Locator) -> None:
    """From any button of a note; Home and End go to the first and the last that is drawn."""
    items.nth(2).get_by_role("button", name="Delete note").focus()
    for key, number in (("ArrowDown", 3), ("ArrowUp", 2), ("ArrowUp", 1), ("Home", 0)):
        page.keyboard.press(key)
        expect(items.nth(number)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.first).to_be_focused()
    page.keyboard.press("Tab")
    expect(items.first.get_by_role("button", name="Edit note")).to_be_focused()


def test_a_reload_of_the_list_keeps_the_place(page: Page, items: Locator) -> None:
    """What another tab sends comes in on top; what is drawn, focus included, stays."""
    items.nth(4).focus()
    focused = page.evaluate_handle("document.activeElement")
    other = Person(page.context.new_page())
    other.opens().is_at_notes()
    other.adds("from the other tab")
    page.bring_to_front()  # Elsewhere Firefox gives nothing the focus.
    expect(items.nth(5)).to_be_focused()
    assert page.evaluate("(item) => item === document.activeElement", focused)
    assert "number" in items.nth(5).inner_text()
