"""Choose the browser for the end-to-end tests, and its command-line switches."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The headless shell comes first, as in Playwright's own download: a full Chromium spends a fifth of
# a test's time on drawing an invisible address bar for each tab.
SYSTEM_COMMANDS = {
    "chromium": (
        *("chromium-headless-shell", "chromium", "chromium-browser"),
        *("google-chrome", "google-chrome-stable"),
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    "firefox": ("firefox-esr", "firefox"),
}
# Playwright drives a Firefox that it did not patch over WebDriver BiDi.
SYSTEM_CHANNELS = {"firefox": "moz-firefox"}
# BiDi reports no page that returns from the back-forward cache, so the cache is switched off. It
# cannot set reduced motion for a single test either, so all tests run with it. The panel that opens
# after a download would take the focus from the page.
BIDI_PREFERENCES = {
    "browser.sessionhistory.max_total_viewers": 0,
    "ui.prefersReducedMotion": 1,
    "browser.download.alwaysOpenPanel": False,
}
WEBKIT = "webkitgtk"
# Playwright drives only a WebKit that it patched; WebKitGTK has a WebDriver of its own. It has no
# headless mode, so it also needs an invisible display.
WEBKIT_COMMANDS = ("WebKitWebDriver", "Xvfb")
# Suppress the browser's own requests, so that every request a test sees is the page's.
QUIET_CHROMIUM = ("--disable-domain-reliability", "--disable-sync", "--no-pings")


@dataclass(frozen=True, slots=True)
class Choice:
    """A browser that can be started: its description, and the arguments for Playwright's launch."""

    description: str
    launch: dict[str, Any] = field(default_factory=dict)


def choose(name: str, playwrights_own: str) -> Choice | None:
    """Return Playwright's own build of a browser, else the system's, else None.

    Args:
        name: ``chromium`` or ``firefox``.
        playwrights_own: The path of Playwright's own build, which need not exist.
    """
    launch: dict[str, Any] = {"args": _switches(name)}
    if Path(playwrights_own).exists():
        return Choice(f"Playwright's own {name}", launch)
    system = next(filter(None, map(shutil.which, SYSTEM_COMMANDS[name])), None)
    if system is None:
        return None
    launch["executable_path"] = system
    if name in SYSTEM_CHANNELS:
        launch["channel"] = SYSTEM_CHANNELS[name]
        launch["firefox_user_prefs"] = BIDI_PREFERENCES
    return Choice(f"the system's {name}, {system}", launch)


def choose_webkit() -> Choice | None:
    """Return WebKitGTK if its driver and an invisible display are installed, else None."""
    if not all(map(shutil.which, WEBKIT_COMMANDS)):
        return None
    return Choice(f"the system's WebKitGTK, driven by {shutil.which(WEBKIT_COMMANDS[0])}")


def _switches(name: str) -> list[str]:
    if name != "chromium":
        return []
    # Chromium refuses to start its sandbox as root, the user of many containers.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*QUIET_CHROMIUM, *(["--no-sandbox"] if is_root else [])]
