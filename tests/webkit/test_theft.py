"""A copy of everything that a script can read, in another WebKitGTK: worth nothing there either."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server_process import ServerProcess
from tests.support.thief import (
    ADDRESS,
    COPY,
    DELETE_KEYS,
    KEY_LOST,
    PASTE,
    READ_KEYS,
    Thief,
    refused_proofs,
    session_of,
    settings_for,
)
from tests.webkit.conftest import Browser, Launch
from tests.webkit.window import Window

MESSAGE = "#sign-in [role=alert]"
SENT = "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"


@pytest.fixture(scope="module", params=["refresh", "all"])
def mode(request: pytest.FixtureRequest) -> str:
    """What the server asks proofs of: refreshes, or all calls too."""
    return str(request.param)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory, mode: str) -> Iterator[ServerProcess]:
    """A server that learns where a thief is."""
    folder = tmp_path_factory.mktemp("server")
    server = ServerProcess.with_users(folder, **settings_for(mode))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def elsewhere(launch: Launch) -> Iterator[Browser]:
    """The thief's browser, with a profile of its own."""
    with Browser(launch) as browser:
        yield browser


@pytest.fixture
def thief(elsewhere: Browser, backend: ServerProcess) -> Iterator[Window]:
    """The thief, at the sign-in form of the page."""
    first = Window(elsewhere.driver, backend.url)
    yield first.opens()
    first.close_others()


def test_a_stolen_session_ends_with_its_access_token(
    window: Window, thief: Window, backend: ServerProcess, mode: str
) -> None:
    """At the latest: where all calls are proved, it never begins. The victim notices nothing."""
    window.opens().signs_in()
    crosses_expiries(window, 1)  # So that the token is new.
    record = window.record
    steals(window, thief)
    thief.waits(lambda: KEY_LOST in thief.text(MESSAGE))
    sent = thief.evaluate(SENT)
    assert {"/api/refresh", "/api/logout"}.isdisjoint(sent)
    assert mode == "refresh" or "/api/notes" not in sent
    assert {"/api/refresh", "/api/notes"}.issubset(window.evaluate(SENT))
    assert thief.record == {}
    by_hand = Thief(backend, record)
    assert by_hand.refreshes() == "INVALID_PROOF"
    assert by_hand.refreshes_by_own_key() == "REFRESH_INVALID"
    tries = [(ADDRESS, "no_proof"), (ADDRESS, "other_key")]
    assert refused_proofs(backend, session_of(record)) == tries
    crosses_expiries(window, 2)
    window.adds(f"written after a theft, {mode}")
    assert session_of(window.record) == session_of(record)


def test_the_key_cannot_be_read(window: Window) -> None:
    """WebKit exports it in no form; after the sign-out there is none."""
    window.evaluate(f"({DELETE_KEYS})()")  # Other tests leave theirs.
    window.opens().signs_in()
    assert window.evaluate(f"({READ_KEYS})()") == ["refused", "refused"]
    window.signs_out()
    window.waits(lambda: window.evaluate(f"({READ_KEYS})()") == [])


def crosses_expiries(window: Window, times: int) -> None:
    """Stay at the page until the tokens have been renewed so many times."""
    generation = window.record["generation"] + times
    window.waits(lambda: window.record["generation"] >= generation)


def steals(window: Window, thief: Window) -> None:
    """Copy the whole web storage and all cookies into the thief's browser."""
    stolen = window.evaluate(f"({COPY})()")
    thief.has_cookies(window.cookies)
    thief.evaluate(f"({PASTE})(arguments[0])", {**stolen, "local": []})
    thief.beside().evaluate(f"({PASTE})(arguments[0])", stolen)
    thief.waits(lambda: thief.record)
    thief.evaluate("void (location.hash = '#/notes')")
