"""The tutorial, followed literally: its commands and files, in an empty folder, in a browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.pages import KINDS, TUTORIAL, Snippet, snippets
from tests.support.paths import ROOT

LONGEST_PAUSE_MS = 60_000
"""Longer than the client ever waits before it tries again, or a busy machine to start Python."""

AT_ITS_END = ", at its end"
NPM = """\
#!{python}
\"\"\"npm, without a network: what `npm ci` has installed, if that is the version asked for.\"\"\"
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
    """Somebody who does what the tutorial says, in a folder, without the network.

    Args:
        folder: Where the project's clone and the reader's own folder lie side by side.
    """

    def __init__(self, folder: Path) -> None:
        self._steps = iter(list(snippets(TUTORIAL, *KINDS)))
        self._folder = folder / "hello"
        self._folder.mkdir()
        (folder / "unexpired").mkdir()
        self.port = _free_port()
        self._environment = os.environ | {
            "PATH": f"{_stand_ins(folder / 'bin')}{os.pathsep}{os.environ['PATH']}",
            # The server's dependencies, which are no business of the tutorial's.
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_FIND_LINKS": str(ROOT / "vendor" / "pyodide"),
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "UNEXPIRED_PORT": str(self.port),
            "UNEXPIRED_ACCESS_TTL": "4",  # Nobody waits for 20 seconds here.
        }

    def goes_on(self, count: int) -> None:
        """Do the next steps: run the commands, write the files."""
        for _ in range(count):
            step = next(self._steps)
            if step.kind == "sh":
                with self._started(step) as process:
                    said, _ = process.communicate()
                assert process.returncode == 0, said
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
        """Whether there is nothing more to do."""
        return next(self._steps, None) is None

    def _started(self, step: Snippet) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - Our own words.
            ["bash", "-euc", step.text],  # noqa: S607 - The reader's own.
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


class Looker:
    """What the reader sees in the page.

    Args:
        page: A tab.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def reads(self, sentence: str, *, where: str = "#said") -> None:
        """See a sentence that the tutorial promises."""
        assert f"“{sentence}”" in TEXT
        expect(self.page.locator(where)).to_have_text(sentence, timeout=LONGEST_PAUSE_MS)

    def hears(self, sentence: str) -> None:
        """See it among the news of the session."""
        self.reads(sentence, where="#news")

    def asks(self, answer: str) -> None:
        """Press the button, and see what it says."""
        self.page.get_by_role("button", name="Who am I?").click()
        self.reads(answer)

    def signs_in(self) -> None:
        """Sign in as the demo's user."""
        self.page.get_by_label("Username").fill("demo")
        self.page.get_by_label("Password").fill("demo")
        self.page.get_by_role("button", name="Sign in").click()
        self.reads("Welcome, demo.")

    def sees(self, state: str) -> None:
        """See how the session is doing."""
        session = self.page.locator("#session")
        expect(session).to_contain_text(state, timeout=LONGEST_PAUSE_MS)


TEXT = TUTORIAL.read_text()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a browser of its own; no page of the tutorial asks another host for anything."""
    context = browser.new_context()
    asked_for: list[str] = []
    own = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:)")
    context.on("request", lambda sent: asked_for.append(sent.url))
    yield context.new_page()
    context.close()
    assert [url for url in asked_for if not own.match(url)] == []


def test_the_tutorial_leads_from_an_empty_folder_to_a_page_that_stays_signed_in(
    tmp_path: Path, page: Page
) -> None:
    """Each step works as it is written, and the page then says what is promised."""
    reader, looker = Reader(tmp_path), Looker(page)
    reader.goes_on(5)
    server = reader.starts_the_server()
    try:
        page.goto(f"http://127.0.0.1:{reader.port}")
        looker.reads("Python is ready.")
        looker.asks("Please sign in.")
        looker.signs_in()
        looker.asks("You are demo.")

        reader.goes_on(1)
        page.reload()
        looker.hears("The tokens were renewed.")
        looker.asks("You are demo.")

        presses_ctrl_c(server)
        looker.sees("degraded")
        looker.asks("The server cannot be reached right now. Please try again.")
        server = reader.starts_the_server()
        looker.sees("active")
        looker.asks("You are demo.")

        reader.goes_on(1)
        looker.hears("Your session is over. Please sign in again.")
        looker.signs_in()
        looker.asks("You are demo.")
    finally:
        presses_ctrl_c(server)
    assert reader.has_finished()
