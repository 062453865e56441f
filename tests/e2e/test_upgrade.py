"""A browser that was signed in before sessions were bound to keys."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.person import Person
from tests.e2e.watch import Watch
from tests.support.older_version import record_of_older_version
from tests.support.server_process import PASSWORDS, ServerProcess

DUE = 30.0
"""Seconds until the access token expires: within the margin, so the page refreshes it."""


def test_a_browser_that_was_signed_in_before_stays_so(
    page: Page, backend: ServerProcess, watch: Watch
) -> None:
    """It finds the record of the version before, refreshes without a key, and says what it is."""
    tokens = backend.sign_in("ada", PASSWORDS["ada"])
    text = record_of_older_version(tokens, backend.url, left=DUE)
    page.goto("/healthz")
    page.evaluate("text => { localStorage.unexpired = text; }", text)
    person = Person(page)
    with page.expect_response("**/api/refresh") as refreshed:
        person.opens().is_at_notes()
    assert refreshed.value.status == 200
    assert "dpop" not in refreshed.value.request.headers
    person.adds("written by a session from before")
    record = page.evaluate("JSON.parse(localStorage.unexpired)")
    assert (record["version"], record["generation"] > 1, "key" in record) == (1, True, False)
    expect(person.alert).to_have_count(0)
    assert watch.count("POST /api/login") == 0
