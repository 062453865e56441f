"""The one place that decides which browser drives the end-to-end tests, and with what switches."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The headless shell, which Playwright's own download is too, comes first: a whole Chromium draws
# an address bar for each tab, unseen, for a fifth of the time that a test takes.
SYSTEM_COMMANDS = {
    "chromium": (
        *("chromium-headless-shell", "chromium", "chromium-browser"),
        *("google-chrome", "google-chrome-stable"),
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    ),
    "firefox": ("firefox-esr", "firefox"),
}
# A Firefox that Playwright did not patch is driven over WebDriver BiDi.
SYSTEM_CHANNELS = {"firefox": "moz-firefox"}
# Over BiDi nobody hears of a page that comes back from the back-forward cache: do without it.
# Nor can a single test ask for less motion: so all of them do.
BIDI_PREFERENCES = {"browser.sessionhistory.max_total_viewers": 0, "ui.prefersReducedMotion": 1}
# No chatter with the browser's maker: every request that a test sees is the page's own.
QUIET_CHROMIUM = ("--disable-domain-reliability", "--disable-sync", "--no-pings")


@dataclass(frozen=True, slots=True)
class Choice:
    """A browser that can be started: what to call it, and what Playwright's launch needs."""

    description: str
    launch: dict[str, Any] = field(default_factory=dict)


def choose(name: str, playwrights_own: str) -> Choice | None:
    """Pick the browser of that name: Playwright's own build, else the system's, else nothing.

    Args:
        name: "chromium" or "firefox".
        playwrights_own: Where Playwright would have put its own build (it need not exist).
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


def _switches(name: str) -> list[str]:
    if name != "chromium":
        return []
    # Chromium refuses to start its sandbox as root, which is who runs in many containers.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*QUIET_CHROMIUM, *(["--no-sandbox"] if is_root else [])]
