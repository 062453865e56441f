"""The session in WebKitGTK: what Safari's engine does with our page."""

import time
from collections.abc import Iterator

import pytest

from tests.support.server_process import ServerProcess
from tests.webkit.conftest import ACCESS_TTL, Browser, Launch
from tests.webkit.window import Window

WITHOUT_STORAGE = ("--enable-html5-local-storage=false", "--enable-html5-database=false")
"""WebKitGTK then has neither ``localStorage`` nor ``indexedDB``."""


def test_python_is_restored_from_the_snapshot(window: Window) -> None:
    """The snapshot that Node.js wrote works here too, which saves most of the start."""
    window.opens()
    assert window.evaluate("performance.getEntriesByName('python-restored').length") == 1


def test_the_session_survives_expiries_and_a_reload(window: Window) -> None:
    """A call after the first token's end succeeds, and so does one after a reload."""
    window.opens().signs_in()
    first = window.record
    time.sleep(ACCESS_TTL + 0.5)
    window.adds("written after an expiry")
    assert window.record["generation"] > first["generation"]
    window.opens().adds("written after a reload")
    assert window.record["session"] == first["session"]


def test_a_sign_out_in_one_window_is_seen_in_the_other(window: Window) -> None:
    """The other window shows the sign-in form, and why."""
    window.opens().signs_in()
    other = window.opens_another()
    other.find("h1", "Notes")
    window.signs_out()
    other.find("h1", "Sign in")
    assert "signed out in another tab" in other.text("#sign-in [role=alert]")


@pytest.fixture
def forgetful(launch: Launch) -> Iterator[Browser]:
    """A browser without storage."""
    with Browser(lambda: launch(*WITHOUT_STORAGE)) as browser:
        yield browser


def test_the_page_works_without_storage(forgetful: Browser, backend: ServerProcess) -> None:
    """The session is then kept for this window, across an expiry; a copy of it has none."""
    window = Window(forgetful.driver, backend.url).opens()
    assert window.evaluate("[localStorage, window.indexedDB?.name]") == [None, None]
    window.signs_in()
    time.sleep(ACCESS_TTL + 0.5)
    window.adds("written without storage")
    window.opens_a_copy().find("h1", "Sign in")
    window.adds("written while there was a copy")
