"""Thousands of notes: only what is looked at is drawn, and the rest can be reached."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.person import Person
from tests.support.many_notes import store_notes
from tests.support.server_process import ServerProcess

COUNT = 1_020
"""More than one page of the server's."""

FEW = 100
ALL_OF_A_VIEW = f"""() => document.querySelectorAll("main li").length < {FEW}"""
MOST = 200
"""Items that the page has at once, however long the list is."""

# Goes to the end again and again, and notes the most items that the page had at once.
TO_THE_END = """async (text) => {
    let most = 0;
    const last = () => [...document.querySelectorAll("main li")].at(-1)?.textContent ?? "";
    for (let frames = 0; !last().includes(text); frames++) {
        if (frames > 5000) throw new Error(`The list ends with ${last()}.`);
        scrollTo(0, document.documentElement.scrollHeight);
        await new Promise(requestAnimationFrame);
        most = Math.max(most, document.querySelectorAll("main li").length);
    }
    return most;
}"""
# Goes to the beginning, half a window at a time: what was in the window before may not jump.
TO_THE_BEGINNING = """async () => {
    const numbers = new Set(), jumps = [];
    const frame = () => new Promise(requestAnimationFrame);
    const top = (item) => item.getBoundingClientRect().top;
    const number = (item) => Number(item.textContent.match(/number (\\d+);/)[1]);
    const seen = () => [...document.querySelectorAll("main li[data-id]")]
        .filter((item) => top(item) > 0 && top(item) < innerHeight);
    const remember = () => seen().forEach((item) => numbers.add(number(item)));
    let most = 0;
    scrollTo(0, document.documentElement.scrollHeight);
    await frame(); await frame();
    remember();
    while (scrollY > 0) {
        const [one] = seen(), at = one && top(one), by = Math.min(innerHeight / 2, scrollY);
        scrollBy({ top: -by, behavior: "instant" });
        await frame(); await frame();
        if (one && Math.abs(top(one) - at - by) > 1) jumps.push([number(one), top(one) - at - by]);
        remember();
        most = Math.max(most, document.querySelectorAll("main li").length);
    }
    return [numbers.size, jumps, most];
}"""


@pytest.fixture
def settings() -> dict[str, float | str]:
    """The settings of a server that no other test uses."""
    return {"access_ttl": 899}


@pytest.fixture(autouse=True)
def _many_notes(backend: ServerProcess) -> None:
    """Store the notes."""
    store_notes(backend, COUNT)


@pytest.fixture
def items(writer: Person) -> Locator:
    """The items of the list of a person who is signed in."""
    return writer.notes.get_by_role("listitem")


def test_a_list_is_drawn_as_far_as_it_is_looked_at(page: Page, items: Locator) -> None:
    """Scrolling brings the next ones, also those of the server's next page.

    At each place the page has only the items that are near: its work does not grow with the list.
    """
    expect(items.first).to_contain_text(f"number {COUNT - 1};")
    assert page.evaluate(ALL_OF_A_VIEW)
    assert page.evaluate(TO_THE_END, "number 0;") < MOST
    expect(items.last).to_contain_text("number 0;")
    seen, jumps, most = page.evaluate(TO_THE_BEGINNING)
    assert (seen, jumps) == (COUNT, [])
    assert most < MOST
    expect(items.first).to_contain_text(f"number {COUNT - 1};")


def test_a_screen_reader_knows_the_place_of_each_note(page: Page, items: Locator) -> None:
    """Although the page has only a part of the list."""
    page.evaluate(TO_THE_END, "number 0;")
    expect(items.last).to_have_attribute("aria-posinset", str(COUNT))
    expect(items.last).to_have_attribute("aria-setsize", str(COUNT))
    page.evaluate("scrollTo(0, 0)")
    expect(items.first).to_have_attribute("aria-posinset", "1")


def test_what_is_typed_far_away_is_kept_in_its_place(page: Page, items: Locator) -> None:
    """The note that has the focus stays in the page, and so does what is typed into it."""
    items.nth(3).get_by_role("button", name="Edit note").click()
    page.keyboard.type(" and")
    page.evaluate(TO_THE_END, "number 0;")
    page.keyboard.type(" more")
    box = page.get_by_role("textbox", name="Text of the note")
    expect(box).to_be_focused()
    expect(box).to_have_value(f"number {COUNT - 4}; and more")
    expect(box).to_be_in_viewport()
    page.get_by_role("searchbox").focus()
    page.evaluate(TO_THE_END, "number 0;")
    expect(box).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")
    expect(box).to_have_value(f"number {COUNT - 4}; and more")


def test_all_that_was_drawn_is_printed(page: Page, items: Locator) -> None:
    """Not only what is near the window."""
    page.evaluate(TO_THE_END, "number 0;")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert items.count() == COUNT
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert items.count() < MOST


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


def test_a_search_is_in_the_address(writer: Person, items: Locator) -> None:
    """A reload and the way back keep it; letters leave no entries in the history."""
    page = writer.page
    search = page.get_by_role("searchbox", name="Search notes")
    entries = page.evaluate("history.length")
    search.press_sequentially("500; number & +")
    expect(page).to_have_url(re.compile(r"#/notes\?q=500%3B%20number%20%26%20%2B$"))
    search.fill("500; number")
    expect(page).to_have_url(re.compile(r"#/notes\?q=500%3B%20number$"))
    assert page.evaluate("history.length") == entries
    page.reload()
    writer.waits_until_ready().is_at_notes()
    expect(search).to_have_value("500; number")
    expect(items).to_have_count(1)
    page.get_by_role("link", name="Devices").click()
    expect(writer.heading("Devices")).to_be_visible()
    page.go_back()
    expect(search).to_have_value("500; number")
    expect(items).to_have_count(1)
    page.get_by_role("link", name="Notes", exact=True).click()
    expect(search).to_have_value("")
    expect(items.first).to_contain_text(f"number {COUNT - 1};")


def test_a_search_survives_an_expiry(writer: Person, items: Locator) -> None:
    """The way back after the sign-in leads to what was found."""
    page = writer.page
    page.get_by_role("searchbox").fill("500; number")
    expect(items).to_have_count(1)
    page.evaluate("localStorage.removeItem('unexpired')")
    page.reload()
    writer.waits_until_ready().is_at_sign_in()
    writer.signs_in().is_at_notes()
    expect(page.get_by_role("searchbox")).to_have_value("500; number")
    expect(items).to_have_count(1)


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


def test_the_arrow_keys_reach_what_is_far_from_the_window(page: Page, items: Locator) -> None:
    """The focus stays where it was while the page scrolls, and moves on from there."""
    items.nth(9).focus()  # What follows it is taken out.
    page.evaluate(TO_THE_END, "number 0;")
    page.keyboard.press("ArrowDown")
    expect(page.locator("li:focus")).to_contain_text(f"number {COUNT - 11};")
    page.keyboard.press("End")
    expect(page.locator("li:focus")).to_contain_text("number 0;")
    page.keyboard.press("Home")
    expect(page.locator("li:focus")).to_contain_text(f"number {COUNT - 1};")
    expect(page.locator("li:focus")).to_be_in_viewport()
    for number in range(2, 25):
        page.keyboard.press("ArrowDown")
        expect(page.locator("li:focus")).to_contain_text(f"number {COUNT - number};")


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
