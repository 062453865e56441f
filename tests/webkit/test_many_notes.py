"""Thousands of notes in WebKitGTK: the end of the list can be reached, and each can be found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.test_many_notes import ALL_OF_A_VIEW, COUNT, MOST, TO_THE_BEGINNING, TO_THE_END
from tests.support.many_notes import store_notes
from tests.support.server_process import ServerProcess
from tests.webkit.conftest import serving
from tests.webkit.window import Window

ITEMS = "document.querySelectorAll('main li')"
LAST = f"[...{ITEMS}].at(-1).textContent"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with more than one page of notes."""
    with serving(tmp_path_factory.mktemp("server")) as server:
        store_notes(server, COUNT)
        yield server


def test_a_long_list_is_scrolled_to_its_end(window: Window) -> None:
    """Only what is near the window is in the page; a search finds what has not been loaded."""
    window.opens().signs_in()
    window.shows(f"number {COUNT - 1};", "main li")
    assert window.evaluate(f"({ALL_OF_A_VIEW})()")
    search = window.find("input", "Search notes")
    search.send_keys("500; number")
    window.holds(f"{ITEMS}.length === 1")
    window.empties(search)
    window.shows(f"number {COUNT - 1};", "main li")
    assert window.evaluate(f"({TO_THE_END})('number 0;')") < MOST
    assert "number 0;" in window.evaluate(LAST)
    seen, jumps, most = window.evaluate(f"({TO_THE_BEGINNING})()")
    assert (seen, jumps) == (COUNT, [])
    assert most < MOST
