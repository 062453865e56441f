"""The page that ``unexpired new`` makes, served by ``unexpired serve``, used across expiries."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import TIMEOUT_MS
from tests.e2e.test_access import AXE, FINDINGS, OVERFLOW
from tests.e2e.watch import Watch
from tests.support.server_process import STOP_SECONDS, clean_environment
from unexpired_kit.new import new_project

ACCESS_TTL = 4
DEMO = "demo"
"""The name of the demo's user, and the password."""
TEXT = "Tokens expire.\nSessions shouldn't."


class Project:
    """A new project, and ``unexpired serve --demo`` in it.

    Args:
        folder: The project.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = clean_environment() | {"UNEXPIRED_ACCESS_TTL": str(ACCESS_TTL)}
        self._command = [sys.executable, "-m", "unexpired_kit", "serve", "--demo", "--port"]
        self.port = "0"

    def start(self) -> None:
        """Start, and wait until the page is built and the server listens."""
        with (self._folder / "log").open("a") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                [*self._command, self.port],
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._child.stdout is not None
        self.said = ""
        for line in self._child.stdout:
            self.said += line
            if found := re.match(r"http://127\.0\.0\.1:(\d+)  sign in as demo / demo$", line):
                self.port = found[1]
                return
        raise RuntimeError(self.said + (self._folder / "log").read_text())

    def stop(self) -> None:
        """Press Ctrl-C."""
        self._child.send_signal(signal.SIGINT)
        self._child.wait(STOP_SECONDS)
        assert self._child.stdout is not None
        self._child.stdout.close()

    def revoke_sessions(self) -> None:
        """End all sessions of the demo's user."""
        database = {"UNEXPIRED_DATABASE_URL": "sqlite+aiosqlite:///data/demo.sqlite3"}
        for session in self._run(database, "list", "demo").splitlines():
            self._run(database, "revoke", session.split()[0])

    def _run(self, settings: dict[str, str], *command: str) -> str:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "unexpired_server", "session", *command],
            cwd=self._folder,
            env=self._environment | settings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(new_project(tmp_path_factory.mktemp("place"), "notes"))
    made.start()
    yield made
    made.stop()


class Writer:
    """A person at the page.

    Args:
        page: The tab.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.box = page.get_by_role("textbox", name="New note")
        self.notice = page.get_by_role("status")
        self.problem = page.get_by_role("alert")

    @property
    def notes(self) -> Locator:
        """The notes in the list."""
        return self.page.get_by_role("list", name="My notes").get_by_role("listitem")

    def opens(self) -> Writer:
        """Open the page, and wait until Python runs."""
        self.page.goto("/")
        expect(self.page.locator("html[data-ready=true]")).to_be_attached()
        return self

    def signs_in(self, password: str = DEMO) -> Writer:
        """Sign in as the demo's user."""
        self.page.get_by_label("Username").fill(DEMO)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def adds(self, text: str) -> None:
        """Add a note."""
        self.box.fill(text)
        self.page.get_by_role("button", name="Add").click()

    def deletes_all(self) -> None:
        """Delete the notes, one by one."""
        while count := self.notes.count():
            self.notes.first.get_by_role("button", name="Delete").click()
            expect(self.notes).to_have_count(count - 1)

    def outlives_a_token(self) -> None:
        """Wait for the next refresh."""
        with self.page.expect_response("**/api/refresh", timeout=TIMEOUT_MS) as refresh:
            pass
        assert refresh.value.status == 200


@pytest.fixture
def watch(browser: Browser, project: Project) -> Iterator[Watch]:
    """A browser context, which must not complain."""
    url = f"http://127.0.0.1:{project.port}"
    context = browser.new_context(base_url=url)
    context.set_default_timeout(TIMEOUT_MS)
    with Watch(context, url) as watch:
        yield watch
    context.close()
    watch.verify()


@pytest.fixture
def writer(watch: Watch) -> Writer:
    return Writer(watch.context.new_page())


def test_a_new_page_starts_from_its_snapshot_and_stays_signed_in(
    writer: Writer, watch: Watch
) -> None:
    """Its notes are there after an expiry and a reload; nothing comes from another host."""
    writer.opens().signs_in("wrong")
    expect(writer.problem).to_have_text("The username or the password is not right.")
    writer.signs_in()
    expect(writer.problem).to_be_hidden()
    expect(writer.page.get_by_text("Nothing here yet.")).to_be_visible()
    expect(writer.box).to_be_focused()
    writer.adds(TEXT)
    expect(writer.box).to_have_value("")
    expect(writer.notes.locator("span")).to_have_text([TEXT], use_inner_text=True)
    writer.outlives_a_token()
    writer.opens()
    expect(writer.notes).to_have_count(1)
    assert writer.page.evaluate("performance.getEntriesByName('python-restored').length") == 1
    assert watch.count("POST /api/login") == 2
    writer.deletes_all()
    expect(writer.page.get_by_text("Nothing here yet.")).to_be_visible()
    writer.page.get_by_role("button", name="Sign out").click()
    expect(writer.notice).to_have_text("You are signed out.")
    expect(writer.box).to_be_hidden()


def test_who_is_signed_in_sees_no_form_while_python_starts(writer: Writer) -> None:
    """Neither at the first picture nor later."""
    writer.opens().signs_in()
    expect(writer.box).to_be_visible()
    writer.page.route("**/pyodide/*", lambda _route: None)  # Never answered.
    writer.page.goto("/", wait_until="commit")
    expect(writer.box).to_be_visible()
    expect(writer.page.get_by_label("Username")).to_be_hidden()
    expect(writer.page.get_by_role("button", name="Add")).to_be_disabled()


def test_what_was_being_written_outlives_the_session(writer: Writer, project: Project) -> None:
    """The page says what happened, in one sentence, and goes on where the person was."""
    writer.opens().signs_in()
    writer.box.fill("half a thought")
    project.revoke_sessions()
    expect(writer.notice).to_have_text(
        "Your session is over. Please sign in again: what you were writing is kept."
    )
    writer.signs_in()
    expect(writer.notice).to_be_hidden()
    expect(writer.box).to_have_value("half a thought")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_the_page(writer: Writer, scheme: str) -> None:
    """Axe finds nothing, and nothing scrolls sideways on a narrow screen."""
    writer.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    writer.page.set_viewport_size({"width": 320, "height": 640})
    writer.opens().signs_in("wrong")
    expect(writer.problem).to_be_visible()
    found = check(writer.page)
    writer.signs_in().adds(f"{TEXT} {'long' * 40}")
    expect(writer.notes).to_have_count(1)
    assert found + check(writer.page) == []
    writer.deletes_all()


def check(page: Page) -> list[str]:
    """Return what axe finds, and what is too wide."""
    page.evaluate(f"{AXE.read_text()}; null")
    return [*page.evaluate(FINDINGS), *page.evaluate(OVERFLOW)]
