"""The pages of examples/, which have nothing of this project but its wheel."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from build_example import build
from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS

REFRESH = "POST /api/refresh"
ME = "GET /api/me"
START_MS = 60_000
"""Python starts as it does anywhere here, from no snapshot: a busy machine takes its time."""
TEN_LINES = ROOT / "examples" / "ten_lines" / "app" / "main.py"


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build an example, as `make example` does."""

    def factory(name: str) -> Path:
        target = tmp_path_factory.getbasetemp() / "examples" / name
        if not target.exists():
            build(name, target)
        return target

    return factory


@pytest.fixture
def name() -> str:
    """Which example it is about."""
    return "ten_lines"


@pytest.fixture
def settings(example: Callable[[str], Path], name: str) -> dict[str, float | str]:
    """Tokens that expire while one looks, on the server that serves the page."""
    return {"page_dir": str(example(name)), "access_ttl": 2, "leeway": 0}


@pytest.fixture
def page(page: Page) -> Page:
    """A tab that tells when each script of the page has run."""
    page.add_init_script(
        "addEventListener('py:done', () => document.documentElement.dataset.ready = 'true')"
    )
    return page


def test_ten_lines_sign_in_call_and_renew(page: Page, watch: Watch) -> None:
    """The page of ten lines says what is wrong, signs in once, and outlives its tokens."""
    opens(page)
    says = page.get_by_role("status")
    asks(page, "not hers")
    expect(says).to_have_text("The username or the password is not right.")
    asks(page, PASSWORDS["ada"])
    expect(says).to_contain_text('"username":"ada"')
    before = watch.calls(ME)[-1].headers["authorization"]
    while watch.calls(ME)[-1].headers["authorization"] == before:
        with page.expect_response("**/api/me") as reply:
            page.get_by_role("button").click()
        assert reply.value.status == 200
    assert watch.count(REFRESH) >= 1
    assert watch.count("POST /api/login") == 2


@pytest.mark.parametrize("name", ["worker"])
def test_a_worker_calls_within_the_session(page: Page, watch: Watch) -> None:
    """The worker of the example counts what the API has, across renewals of the page's tokens."""
    opens(page)
    says = page.get_by_role("status")
    asks(page, PASSWORDS["ada"])
    expect(says).to_have_text("0 words")
    adds_elsewhere(page, "just three words")
    while watch.count(REFRESH) == 0:
        with page.expect_response("**/api/notes"):
            page.get_by_role("button").click()
    page.get_by_role("button").click()
    expect(says).to_have_text("3 words")
    assert watch.count("POST /api/login") == 1


def test_the_ten_lines_are_ten() -> None:
    """Beside its imports, the example is at most ten lines of Python."""
    module = ast.parse(TEN_LINES.read_text())
    kept = (node for node in module.body[1:] if not isinstance(node, ast.ImportFrom))
    lines = ast.unparse(ast.Module(list(kept), [])).splitlines()
    assert len([line for line in lines if line]) <= 10


def opens(page: Page) -> None:
    """Open the page, and wait until Python runs."""
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=START_MS)


def asks(page: Page, password: str) -> None:
    """Fill in the form, and send it."""
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button").click()


def adds_elsewhere(page: Page, text: str) -> None:
    """Add a note from another device, with tokens of its own."""
    credentials = {"username": "ada", "password": PASSWORDS["ada"]}
    token = page.request.post("/api/login", data=credentials).json()["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert page.request.post("/api/notes", headers=bearer, data={"text": text}).ok
