"""The project's server, and the installed browsers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, BrowserType, Page, Playwright

from browsers import choose
from tests.support.server_process import ServerProcess

TIMEOUT_MS = 60_000
# The browser's own requests must not compete with the page's.
QUIET_CHROMIUM = ("--disable-quic", "--disable-background-networking")


@contextmanager
def serving(**settings: float | str) -> Iterator[ServerProcess]:
    """Run the project's server with these settings in a folder of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend = ServerProcess.with_users(folder, **settings)
        stack.callback(backend.stop)
        yield backend


def available(playwright: Playwright, names: Sequence[str]) -> list[str]:
    """Return those of these browsers that Playwright drives and finds; print which are missing."""
    driven = [name for name in names if hasattr(playwright, name)]
    found = {name: choose(name, getattr(playwright, name).executable_path) for name in driven}
    for name, choice in found.items():
        print(choice.description if choice else f"There is no {name} here: it is left out.")
    return [name for name, choice in found.items() if choice]


@contextmanager
def visitor(playwright: Playwright, name: str) -> Iterator[BrowserContext]:
    """Start a browser with an empty profile on disk."""
    kind = getattr(playwright, name)
    choice = choose(name, kind.executable_path)
    assert choice is not None  # noqa: S101 - `available` returned it
    with ExitStack() as stack:
        if name == "chromium":
            context = stack.enter_context(_with_profile(kind, choice.launch))
        else:
            # Over BiDi, Playwright always starts Firefox with an empty profile.
            browser = kind.launch(**choice.launch)
            stack.callback(browser.close)
            context = browser.new_context()
        context.set_default_timeout(TIMEOUT_MS)
        yield context


@contextmanager
def _with_profile(chromium: BrowserType, launch: dict[str, Any]) -> Iterator[BrowserContext]:
    """Start a Chromium that keeps its cache on disk.

    Without a profile the cache is in memory and has no room for files as large as Pyodide's, so a
    second visit would load them again.
    """
    quiet = {**launch, "args": [*launch["args"], *QUIET_CHROMIUM]}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = chromium.launch_persistent_context(profile, **quiet)
        yield context
        context.close()


def is_ready(page: Page) -> None:
    """Wait until Python runs in the page."""
    page.locator("html[data-ready=true]").wait_for(state="attached")
