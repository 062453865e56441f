"""Thousands of notes in WebKitGTK: the end of the list can be reached, and each can be found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.test_many_notes import ALL_OF_A_VIEW, COUNT, MORE
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
    """It is drawn as far as it is looked at; a search finds what has not been loaded."""
    window.opens().signs_in()
    window.shows(f"number {COUNT - 1};", "main li")
    assert window.evaluate(f"({ALL_OF_A_VIEW})()")
    search = window.find("input", "Search notes")
    search.send_keys("500; number")
    window.holds(f"{ITEMS}.length === 1")
    window.empties(search)
    window.shows(f"number {COUNT - 1};", "main li")
    while (drawn := window.evaluate(f"{ITEMS}.length")) < COUNT:
        window.holds(f"({MORE})({drawn})")
    assert "number 0;" in window.evaluate(LAST)
