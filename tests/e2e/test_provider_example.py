"""The page of examples/provider at npm's oidc-provider: in, across expiries, and out again."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from build_example import build
from tests.e2e.conftest import ContextFactory
from tests.e2e.watch import Watch
from tests.support.oidc_provider import OidcProvider, sign_in_on_page
from tests.support.paths import ROOT
from tests.support.served_app import ServedApp

ACCESS_TTL = 2  # s
AUDIENCE = "https://notes.example"
ISSUER = "http://127.0.0.1:3000"
START_MS = 60_000
REFRESH = "POST /token"


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(access_ttl=ACCESS_TTL) as provider:
        yield provider


@pytest.fixture(scope="module")
def home(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the example's own server, which serves the page, too."""
    folder = tmp_path_factory.mktemp("provider")
    build("provider", folder / "page")
    settings = folder / "page" / "pyscript.toml"
    settings.write_text(settings.read_text().replace(ISSUER, provider.issuer))
    text = (ROOT / "examples" / "provider" / "main.py").read_text()
    variables = {"ISSUER": provider.issuer, "AUDIENCE": AUDIENCE, "PAGE": str(folder / "page")}
    app = ServedApp(folder, text, variables).start()
    provider.change(
        redirect_uris=[f"{app.url}/"], post_logout_redirect_uris=[f"{app.url}/"], origins=[app.url]
    )
    yield app.url
    app.stop()


@pytest.fixture
def context(new_context: ContextFactory, home: str) -> Iterator[BrowserContext]:
    """A browser without any session, here or at the provider."""
    context = new_context(home)
    context.add_init_script(
        "addEventListener('py:done', () => document.documentElement.dataset.ready = 'true')"
    )
    yield context
    context.close()


@pytest.fixture
def watch(context: BrowserContext, home: str, provider: OidcProvider) -> Iterator[Watch]:
    """Records the requests of the browser; fails if one of its pages logged an error."""
    with Watch(context, home) as watch:
        watch.admit(provider.issuer)
        yield watch
    watch.verify()


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.context.new_page()


def test_a_page_signs_in_survives_expiries_and_signs_out(
    page: Page, home: str, watch: Watch
) -> None:
    open_page(page)
    page.get_by_role("button", name="Ask").click()
    sign_in_on_page(page)
    expect(page).to_have_url(f"{home}/")
    expect_ready(page)
    while watch.count(REFRESH) < 4:  # The first is the sign-in's.
        with page.expect_response("**/api/greeting") as response:
            page.get_by_role("button", name="Ask").click()
        assert response.value.status == 200
    expect(page.get_by_role("status")).to_have_text("Hello, ada.")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{home}/")


def test_a_refusal_at_the_provider_is_a_sentence(page: Page, home: str) -> None:
    open_page(page)
    page.get_by_role("button", name="Ask").click()
    sign_in_on_page(page, refuses=True)
    expect(page).to_have_url(f"{home}/")
    expect(page.get_by_role("status")).to_have_text(
        "Signing in was cancelled, or your account may not be used here."
    )


def open_page(page: Page) -> None:
    """Open the page, and wait until Python runs."""
    page.goto("/")
    expect_ready(page)


def expect_ready(page: Page) -> None:
    """Wait until the page has done what it does when it is opened."""
    expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=START_MS)
