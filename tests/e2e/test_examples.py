"""The pages of examples/, which use only the project's wheel."""

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
"""Python starts without a snapshot here, which takes long on a busy machine."""
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
    """The name of the example."""
    return "ten_lines"


@pytest.fixture
def settings(example: Callable[[str], Path], name: str) -> dict[str, float | str]:
    """The server serves the example; access tokens live 2 seconds."""
    return {"page_dir": str(example(name)), "access_ttl": 2, "leeway": 0}


@pytest.fixture
def page(page: Page) -> Page:
    """A tab that shows when the page's scripts have run."""
    page.add_init_script(
        "addEventListener('py:done', () => document.documentElement.dataset.ready = 'true')"
    )
    return page


def test_ten_lines_sign_in_call_and_refresh(page: Page, watch: Watch) -> None:
    """The page shows a wrong password, signs in once, and outlives its tokens."""
    open_page(page)
    status = page.get_by_role("status")
    sign_in(page, "not hers")
    expect(status).to_have_text("The username or the password is not right.")
    sign_in(page, PASSWORDS["ada"])
    expect(status).to_contain_text('"username":"ada"')
    before = watch.calls(ME)[-1].headers["authorization"]
    while watch.calls(ME)[-1].headers["authorization"] == before:
        with page.expect_response("**/api/me") as response:
            page.get_by_role("button").click()
        assert response.value.status == 200
    assert watch.count(REFRESH) >= 1
    assert watch.count("POST /api/login") == 2


@pytest.mark.parametrize("name", ["worker"])
def test_the_worker_example_shares_the_pages_session(page: Page, watch: Watch) -> None:
    """The worker counts words of the notes, before and after a refresh by the page."""
    open_page(page)
    status = page.get_by_role("status")
    sign_in(page, PASSWORDS["ada"])
    expect(status).to_have_text("0 words")
    add_on_another_device(page, "just three words")
    while watch.count(REFRESH) == 0:
        with page.expect_response("**/api/notes"):
            page.get_by_role("button").click()
    page.get_by_role("button").click()
    expect(status).to_have_text("3 words")
    assert watch.count("POST /api/login") == 1


def test_the_ten_lines_are_at_most_ten() -> None:
    """Imports do not count."""
    assert count_lines(TEN_LINES) <= 10


def count_lines(program: Path) -> int:
    """Return the number of lines without imports, empty lines and what is only for people."""
    module = ast.parse(program.read_text())
    kept = (node for node in module.body[1:] if not isinstance(node, ast.ImportFrom))
    return len([line for line in ast.unparse(ast.Module(list(kept), [])).splitlines() if line])


def open_page(page: Page) -> None:
    """Open the page, and wait until Python runs."""
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=START_MS)


def sign_in(page: Page, password: str) -> None:
    """Fill in the form and submit it."""
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button").click()


def add_on_another_device(page: Page, text: str) -> None:
    """Add a note in another session of the same user."""
    credentials = {"username": "ada", "password": PASSWORDS["ada"]}
    token = page.request.post("/api/login", data=credentials).json()["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert page.request.post("/api/notes", headers=bearer, data={"text": text}).ok
