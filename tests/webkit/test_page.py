"""The page's views in WebKitGTK: notes that change, and the time line."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys

from tests.webkit.window import Window

LIST = "ul[aria-label=Notes]"
HEALED = "document.querySelectorAll('.timeline .mark.request.healed').length"
COUNT = "document.querySelectorAll('ul[aria-label=Notes] li[data-id]').length"
SIDEWAYS = "document.documentElement.scrollWidth - innerWidth"


def notes(window: Window) -> str:
    return window.text(LIST)


def test_a_note_is_edited_deleted_and_restored(window: Window) -> None:
    """Each change is there after a reload."""
    window.opens().signs_in()
    window.adds("first words")
    window.find("button", "Edit note: first words").click()
    window.find("textarea", "Text of the note").send_keys(" and more", Keys.CONTROL + Keys.ENTER)
    window.waits(lambda: "first words and more" in notes(window))
    window.find("button", "Delete note: first words and more").click()
    window.find("button", "Undo: delete note first words and more").click()
    window.waits(lambda: "first words and more" in notes(window))
    window.opens()
    window.waits(lambda: "first words and more" in notes(window))


def test_a_long_text_is_not_cut(window: Window) -> None:
    """The page says how long it is, and offers to make several notes of it."""
    window.opens().signs_in()
    window.find("textarea", "New note").send_keys("word " * 500)
    before = window.evaluate(COUNT)
    window.find("button", "Add as 2 notes").click()
    window.waits(lambda: window.evaluate(COUNT) == before + 2)


def test_a_burst_is_drawn_and_healed(window: Window) -> None:
    """Twenty requests are refused, wait for one refresh, and succeed."""
    window.opens().signs_in()
    window.goes("/#/activity")
    window.find("button", "Burst of 20 requests").click()
    window.waits(lambda: "20 times 200; 1 refresh." in window.text("main"))
    window.waits(lambda: window.evaluate(HEALED) == 20)
    assert window.evaluate(SIDEWAYS) <= 0


def test_the_frame_of_a_signed_in_page_is_drawn_before_python_runs(window: Window) -> None:
    """The header and the view are there at once, with nothing of the notes."""
    window.opens().signs_in()
    window.adds("kept to myself")
    window.goes("/")
    text = window.text("body")
    assert "Sign out" in text
    assert "kept to myself" not in window.evaluate(
        "document.querySelector('#frame')?.textContent ?? ''"
    )
