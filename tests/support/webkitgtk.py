"""WebKitGTK on a display of its own."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which

from selenium.webdriver import WebKitGTK
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

STOP_SECONDS = 10
SWITCHES = ("--automation", "--javascript-can-open-windows-automatically=true")
SCREEN = "1280x1024x24"


@contextmanager
def display() -> Iterator[str]:
    """Run an X server that draws into memory; it chooses a free number and announces it."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:  # noqa: S603
        os.close(writing)
        with os.fdopen(reading) as announced:
            yield f":{announced.readline().strip()}"
        server.terminate()
        server.wait(STOP_SECONDS)


def start(shown_on: str, *switches: str) -> WebKitGTK:
    """Start WebKitGTK with an empty profile.

    Args:
        shown_on: The display.
        *switches: Further switches of its MiniBrowser.
    """
    options = Options()
    for switch in (*SWITCHES, *switches):
        options.add_argument(switch)
    service = Service(which("WebKitWebDriver"), env={**os.environ, "DISPLAY": shown_on})
    with warnings.catch_warnings():  # Selenium warns of how it calls itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        return WebKitGTK(options, service)
