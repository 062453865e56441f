"""A thief who copies everything that a script can read: what it is worth in another browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e.conftest import ContextFactory
from tests.e2e.person import Person
from tests.e2e.watch import Watch
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

NOTES, REFRESH, LOGOUT = "**/api/notes", "**/api/refresh", "**/api/logout"


@pytest.fixture(params=["refresh", "all"])
def mode(request: pytest.FixtureRequest) -> str:
    """What the server asks proofs of: refreshes, or all calls too."""
    return str(request.param)


@pytest.fixture
def settings(mode: str) -> dict[str, float | str]:
    """Access tokens live for seconds, and the server learns where a thief is."""
    return settings_for(mode)


@pytest.fixture
def person(page: Page) -> Person:
    """A person in front of the page, whose browser has no keys yet."""
    page.goto("/healthz")
    page.evaluate(DELETE_KEYS)
    return Person(page)


@pytest.fixture(scope="module")
def browser_elsewhere(new_context: ContextFactory) -> ContextFactory:
    """One more browser context for each server, with the page's files in its cache."""
    return cache(new_context)


@pytest.fixture
def elsewhere(browser_elsewhere: ContextFactory, home: str) -> Iterator[BrowserContext]:
    """The thief's browser, which has been at the page before, so that its files are there."""
    context = browser_elsewhere(home)
    context.clear_cookies()
    page = context.new_page()
    page.goto("/healthz")
    page.evaluate("localStorage.clear()")
    page.evaluate(DELETE_KEYS)
    page.close()
    yield context
    for page in context.pages:
        page.close()


@pytest.fixture
def thief(elsewhere: BrowserContext) -> Person:
    """The thief, at the sign-in form of the page."""
    person = Person(elsewhere.new_page())
    person.opens().is_at_sign_in()
    return person


def record_of(person: Person) -> dict[str, Any]:
    """Return the stored session."""
    record: dict[str, Any] = person.page.evaluate("JSON.parse(localStorage.unexpired ?? '{}')")
    return record


def steals(victim: Person, thief: Person) -> None:
    """Copy the whole web storage and all cookies into the thief's browser."""
    thief.page.context.add_cookies(victim.page.context.cookies())  # type: ignore[arg-type]
    stolen = victim.page.evaluate(COPY)
    other = thief.page.context.new_page()
    other.goto("/healthz")
    thief.page.evaluate(PASTE, {**stolen, "local": []})
    other.evaluate(PASTE, stolen)
    other.close()
    thief.page.wait_for_function("localStorage.unexpired")  # Each page has a copy.
    thief.page.evaluate("location.hash = '#/notes'")


@contextmanager
def counted(page: Page, *paths: str) -> Iterator[list[str]]:
    """Collect the requests that a page sends to these paths."""
    sent: list[str] = []

    def note(request: Request) -> None:
        sent.extend(path for path in paths if request.url.endswith(path))

    page.on("request", note)
    yield sent
    page.remove_listener("request", note)


def crosses_expiries(person: Person, times: int) -> None:
    """Stay at the page until the tokens have been renewed so many times."""
    for _ in range(times):
        with person.page.expect_response(REFRESH) as refreshed:
            pass
        assert refreshed.value.status == 200


def test_a_stolen_session_ends_with_its_access_token(
    writer: Person, thief: Person, watch: Watch, mode: str
) -> None:
    """At the latest: where all calls are proved, it never begins. The victim notices nothing."""
    crosses_expiries(writer, 1)  # So that the token is new.
    session = session_of(record_of(writer))
    with counted(thief.page, "/api/refresh", "/api/logout", "/api/notes") as sent:
        steals(writer, thief)
        if mode == "refresh":
            thief.is_at_notes()
        expect(thief.alert).to_contain_text(KEY_LOST)
        thief.is_at_sign_in()
    assert {"/api/refresh", "/api/logout"}.isdisjoint(sent)
    assert ("/api/notes" in sent) == (mode == "refresh")
    assert record_of(thief) == {}
    crosses_expiries(writer, 2)
    writer.adds(f"written after a theft, {mode}")
    assert session_of(record_of(writer)) == session
    expect(writer.alert).to_have_count(0)
    assert watch.count("POST /api/login") == 1


def test_a_copied_profile_has_no_key(writer: Person, thief: Person, watch: Watch) -> None:
    """A page that starts with the stolen session refreshes nothing, and ends it in that browser."""
    with counted(thief.page, "/api/refresh", "/api/logout") as sent:
        thief.page.goto("/healthz")
        thief.page.evaluate(PASTE, writer.page.evaluate(COPY))
        thief.opens()
        expect(thief.alert).to_contain_text(KEY_LOST)
        thief.is_at_sign_in()
    assert sent == []
    assert record_of(thief) == {}
    crosses_expiries(writer, 1)
    assert watch.count("POST /api/login") == 1


def test_stolen_tokens_are_refused_by_the_server(
    writer: Person, backend: ServerProcess, watch: Watch, mode: str
) -> None:
    """Each try is refused, and named in the audit and the log; the session goes on."""
    record = record_of(writer)
    thief = Thief(backend, record)
    assert thief.refreshes() == "INVALID_PROOF"
    assert thief.refreshes_by_own_key() == "REFRESH_INVALID"
    bare = (200, "OK") if mode == "refresh" else (401, "INVALID_PROOF")
    assert thief.calls() == bare
    assert thief.calls_by_own_key() == (401, "INVALID_PROOF")
    tries = [(ADDRESS, "no_proof"), (ADDRESS, "other_key")]
    assert refused_proofs(backend, session_of(record)) == tries
    assert backend.log.count(f'"address": "{ADDRESS}", "cause": "no_proof"') > 0
    crosses_expiries(writer, 2)
    writer.adds(f"written after {len(tries)} tries, {mode}")
    assert session_of(record_of(writer)) == session_of(record)
    assert thief.refreshes_by_own_key() == "REFRESH_INVALID"
    assert watch.count("POST /api/login") == 1


def test_the_key_cannot_be_read_and_is_gone_after_the_sign_out(writer: Person) -> None:
    """Each tab signs with it, after a reload too; the database has one, and then none."""
    assert writer.page.evaluate(READ_KEYS) == ["refused", "refused"]
    writer.opens().is_at_notes()
    other = Person(writer.page.context.new_page())
    other.opens().is_at_notes()
    generation = record_of(writer)["generation"]
    with counted(writer.page, "/api/refresh") as one, counted(other.page, "/api/refresh") as two:
        writer.page.wait_for_function(
            "generation => JSON.parse(localStorage.unexpired).generation >= generation + 2",
            arg=generation,
        )
    assert len(one + two) == record_of(writer)["generation"] - generation
    writer.adds("written with a key that two tabs share")
    other.adds("written in the other tab")
    writer.sign_out_button.click()
    other.is_at_sign_in()
    writer.page.wait_for_function(f"async () => !(await ({READ_KEYS})()).length")


def test_a_lost_key_ends_the_session_with_its_own_sentence_and_keeps_the_draft(
    writer: Person, text: str, watch: Watch
) -> None:
    """Browsers may clear storage; it ends once, at the next start that finds the key gone."""
    writer.new_note.fill(text)
    writer.page.wait_for_function("text => JSON.stringify(localStorage).includes(text)", arg=text)
    writer.page.evaluate(DELETE_KEYS)
    writer.opens()
    expect(writer.alert).to_contain_text(KEY_LOST)
    writer.is_at_sign_in()
    assert watch.count("POST /api/logout") == 0
    writer.signs_in().is_at_notes()
    expect(writer.new_note).to_have_value(text)
    crosses_expiries(writer, 1)
