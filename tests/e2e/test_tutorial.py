"""The tutorial, followed step by step: its commands and files, in an empty folder and a browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.pages import LANGUAGES, TUTORIAL, Snippet, snippets
from tests.support.paths import ROOT

TIMEOUT_MS = 60_000
"""Longer than the longest back-off, and than Python's start on a busy machine."""

AT_ITS_END = ", at its end"
NPM = """\
#!{python}
\"\"\"npm without a network: copies what `npm ci` has installed, if the version is right.\"\"\"
import json, pathlib, shutil, sys

_, install, prefix, folder, *wanted = sys.argv
assert (install, prefix) == ("install", "--prefix") and wanted
for name, version in (one.rsplit("@", 1) for one in wanted):
    package = pathlib.Path("{modules}", name)
    assert json.loads((package / "package.json").read_text())["version"] == version
    shutil.copytree(package, pathlib.Path(folder, "node_modules", name))
"""
MAKE = """\
#!/bin/sh
# make, in a clone whose environment is this one.
[ "$1 $2 $3" = "-C ../unexpired wheel" ] && exec {python} {tool} "$2/build/wheels"
"""


class Reader:
    """Follows the tutorial in a folder, without the network.

    Args:
        folder: Holds the project's clone and the reader's own folder.
    """

    def __init__(self, folder: Path) -> None:
        self._steps = iter(list(snippets(TUTORIAL, *LANGUAGES)))
        self._folder = folder / "hello"
        self._folder.mkdir()
        script = Path("kit/unexpired_kit/browser/trusted_types.js")
        (folder / "unexpired" / script).parent.mkdir(parents=True)
        shutil.copy(ROOT / script, folder / "unexpired" / script)
        self.port = _free_port()
        self._environment = os.environ | {
            "PATH": f"{_stand_ins(folder / 'bin')}{os.pathsep}{os.environ['PATH']}",
            # The server's dependencies, which the tutorial does not install.
            "PYTHONPATH": os.pathsep.join((sysconfig.get_path("purelib"), str(ROOT / "app"))),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(ROOT / "vendor" / "pyodide"),
            "PIP_NO_DEPS": "1",
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
        return subprocess.Popen(  # noqa: S603 - Our own documentation.
            ["bash", "-euc", step.text],  # noqa: S607 - The reader's shell.
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _write(self, step: Snippet) -> None:
        name, addition, _ = step.caption.partition(AT_ITS_END)
        file = self._folder / name
        file.parent.mkdir(exist_ok=True)
        with file.open("a" if addition else "x") as target:
            target.write(step.text)


def presses_ctrl_c(server: subprocess.Popen[str]) -> None:
    """Stop a server from its terminal."""
    os.killpg(server.pid, signal.SIGINT)
    server.communicate()


def _stand_ins(folder: Path) -> Path:
    folder.mkdir()
    texts = {
        "make": MAKE.format(python=sys.executable, tool=ROOT / "tools" / "build_wheels.py"),
        "npm": NPM.format(python=sys.executable, modules=ROOT / "node_modules"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


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

    def reads(self, text: str, *, where: str = "#said") -> None:
        """See a text that the tutorial quotes."""
        assert f"“{text}”" in TEXT
        expect(self.page.locator(where)).to_have_text(text, timeout=TIMEOUT_MS)

    def reads_news(self, text: str) -> None:
        """See a text in the line for the session's events."""
        self.reads(text, where="#news")

    def presses_the_button(self, text: str) -> None:
        """Press the button, and see the text."""
        self.page.get_by_role("button", name="Who am I?").click()
        self.reads(text)

    def signs_in(self) -> None:
        """Sign in as the demo's user."""
        self.page.get_by_label("Username").fill("demo")
        self.page.get_by_label("Password").fill("demo")
        self.page.get_by_role("button", name="Sign in").click()
        self.reads("Welcome, demo.")

    def sees_state(self, state: str) -> None:
        """See the state of the session."""
        session = self.page.locator("#session")
        expect(session).to_contain_text(state, timeout=TIMEOUT_MS)


TEXT = TUTORIAL.read_text()


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


def test_the_tutorial_builds_a_page_that_stays_signed_in(tmp_path: Path, page: Page) -> None:
    """Each step works as written, and the page shows what the tutorial says."""
    reader, view = Reader(tmp_path), PageReader(page)
    reader.goes_on(5)
    server = reader.starts_the_server()
    try:
        page.goto(f"http://127.0.0.1:{reader.port}")
        view.reads("Python is ready.")
        view.presses_the_button("Please sign in.")
        view.signs_in()
        view.presses_the_button("You are demo.")

        reader.goes_on(1)
        page.reload()
        view.reads_news("The tokens were renewed.")
        view.presses_the_button("You are demo.")

        presses_ctrl_c(server)
        view.sees_state("degraded")
        view.presses_the_button("The server cannot be reached right now. Please try again.")
        server = reader.starts_the_server()
        view.sees_state("active")
        view.presses_the_button("You are demo.")

        reader.goes_on(1)
        view.reads_news("Your session is over. Please sign in again.")
        view.signs_in()
        view.presses_the_button("You are demo.")
    finally:
        presses_ctrl_c(server)
    assert reader.has_finished()
