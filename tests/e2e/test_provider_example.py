"""The page of examples/provider at npm's oidc-provider: in, across expiries, and out again."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import ContextFactory
from tests.e2e.test_examples import count_lines
from tests.e2e.watch import Watch
from tests.support import provider_example
from tests.support.oidc_provider import sign_in_on_page
from tests.support.paths import ROOT

EXAMPLE = ROOT / "examples" / "provider" / "page" / "app" / "main.py"
START_MS = 60_000
REFRESH = "POST /token"

provider = provider_example.provider
called = provider_example.called
home = provider_example.home


@pytest.fixture
def context(new_context: ContextFactory, home: str) -> Iterator[BrowserContext]:
    """A browser without any session, here or at the provider."""
    context = new_context(home)
    yield context
    context.close()


def test_a_page_signs_in_survives_expiries_and_signs_out(
    page: Page, home: str, watch: Watch
) -> None:
    sign_in(page)
    expect(page.get_by_role("status")).to_have_text("Hello, ada.", timeout=START_MS)
    while watch.count(REFRESH) < 4:  # The first is the sign-in's.
        with page.expect_response("**/api/greeting") as response:
            page.get_by_role("button", name="Ask").click()
        assert response.value.status == 200
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()  # The provider's own.
    expect(page).to_have_url(f"{home}/")
    expect(page.locator("input[name=login]")).to_be_visible(timeout=START_MS)


def test_a_refusal_at_the_provider_is_a_sentence(page: Page, home: str) -> None:
    sign_in(page, refuses=True)
    expect(page).to_have_url(f"{home}/")
    expect(page.get_by_role("status")).to_have_text(
        "Signing in was cancelled, or your account may not be used here.", timeout=START_MS
    )


def test_the_ten_lines_are_at_most_ten() -> None:
    """Imports do not count."""
    assert count_lines(EXAMPLE) <= 10


def sign_in(page: Page, *, refuses: bool = False) -> None:
    """Open the page, which leaves for the provider, and sign in there."""
    page.goto("/")
    sign_in_on_page(page, refuses=refuses)
