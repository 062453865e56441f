"""Saves what a page offers as a file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator

TIMEOUT_SECONDS = 60
POLL_MS = 20
UNFINISHED = ".part"


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """What buttons let the browser save.

    Args:
        browsers: The folder that the browser saves in.
        own: A folder of the test's.
        are_reported: Whether the driver reports them. Playwright does for a Firefox of its own, but
            ignores the events of any other that belong to no navigation, as those of a ``blob:``.
    """

    browsers: Path
    own: Path
    are_reported: bool

    def press(self, button: Locator) -> Path:
        """Press a button; return the file that it saves, under the name that it is offered with."""
        return self._reported(button) if self.are_reported else self._found(button)

    def _reported(self, button: Locator) -> Path:
        with button.page.expect_download() as download:
            button.click()
        file = self.own / download.value.suggested_filename
        download.value.save_as(file)
        return file

    def _found(self, button: Locator) -> Path:
        for earlier in self.browsers.iterdir():
            earlier.unlink()
        button.click()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not self._is_complete():
            assert time.monotonic() < deadline, "the browser has saved no file"
            button.page.wait_for_timeout(POLL_MS)  # Lets the driver's other events in.
        (file,) = self.browsers.iterdir()
        return file

    def _is_complete(self) -> bool:
        # The name is taken by an empty file, which gives way to the unfinished one.
        files = list(self.browsers.iterdir())
        return len(files) == 1 and files[0].suffix != UNFINISHED and files[0].stat().st_size > 0
