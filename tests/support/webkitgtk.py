"""WebKitGTK on a display of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any

from selenium.common.exceptions import InvalidSessionIdException, WebDriverException
from selenium.webdriver import WebKitGTK
from selenium.webdriver.remote.command import Command
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

STOP_SECONDS = 10
SWITCHES = ("--automation", "--javascript-can-open-windows-automatically=true")
SCREEN = "1280x1024x24"
DOWNLOADS = "downloads"
# The buttons above the page would not let a window be narrower than 447 px.
NARROW = """
headerbar, headerbar *, toolbar, toolbar *, entry, button, image {
    min-width: 0; margin: 0; padding: 0; border-width: 0; font-size: 1px;
}
image { -gtk-icon-transform: scale(0); }
"""
STILL = "[Settings]\ngtk-enable-animations=false\n"
"""People who reduce motion have it so; WebKit tells the page."""


class Driver(WebKitGTK):
    """A driver which says of a browser that has died that it has.

    A page whose process has died is no window any more, and each command fails with an error that
    says nothing.
    """

    def execute(
        self,
        driver_command: str | Generator[dict[str, Any], Any, Any],
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Run a command."""
        try:
            return super().execute(driver_command, params)
        except WebDriverException as error:
            if driver_command == Command.W3C_GET_WINDOW_HANDLES or lives(self):
                raise
            message = f"The browser died ({driver_command}: {error.msg})."
            raise InvalidSessionIdException(message) from error

    def quit(self) -> None:
        """End what drives the browser, and the browser, also where it does not end by itself."""
        with suppress(WebDriverException):  # One that has died cannot end its session.
            super().quit()
        group = self.service.process.pid
        self.service.stop()
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def lives(driver: WebKitGTK) -> bool:
    """Whether the browser has a window."""
    try:
        return bool(driver.window_handles)
    except WebDriverException:
        return False


@contextmanager
def display() -> Iterator[str]:
    """Run an X server that draws into memory; it chooses a free number and announces it."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:  # noqa: S603
        os.close(writing)
        try:
            with os.fdopen(reading) as announced:
                yield f":{announced.readline().strip()}"
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)


def configure(folder: Path, *, still: bool = False) -> None:
    """Write the settings of a desktop.

    Args:
        folder: For the settings; it exists.
        still: Whether its person reduces motion.
    """
    downloads, gtk = folder / DOWNLOADS, folder / "gtk-3.0"
    for made in (downloads, gtk):
        made.mkdir()
    (folder / "user-dirs.dirs").write_text(f'XDG_DOWNLOAD_DIR="{downloads}"\n')
    (gtk / "gtk.css").write_text(NARROW)
    (gtk / "settings.ini").write_text(STILL if still else "")


def start(shown_on: str, desktop: Path, *switches: str, waits: bool = True) -> WebKitGTK:
    """Start WebKitGTK with an empty profile.

    Args:
        shown_on: The display.
        desktop: The settings that ``configure`` has written.
        *switches: Further switches of its MiniBrowser.
        waits: Whether each command waits until the page and all that it names have loaded.
    """
    options = Options()
    if not waits:
        options.page_load_strategy = "none"
    for switch in (*SWITCHES, *switches):
        options.add_argument(switch)
    environment = {**os.environ, "DISPLAY": shown_on, "XDG_CONFIG_HOME": str(desktop)}
    group = {"start_new_session": True}
    service = Service(which("WebKitWebDriver"), env=environment, popen_kw=group)
    with warnings.catch_warnings():  # Selenium warns of how it calls itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        return Driver(options, service)
