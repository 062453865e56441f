"""Find a browser (chromium, or the one named) for the end-to-end tests, or install it.

Chromium must be found. The tests in other browsers are skipped where there is none.
"""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

from browsers import WEBKIT, Choice, choose, choose_webkit

DOWNLOAD_SECONDS = 600
DEBIAN_PACKAGES = {
    "chromium": ("chromium-headless-shell",),
    "firefox": ("firefox-esr",),
    WEBKIT: ("webkit2gtk-driver", "xvfb"),
}


def main(name: str) -> None:
    """Say in one sentence which browser the tests will use, or that there is none to be had."""
    said = ""
    for attempt in (_nothing, _playwright_install, _debian_install):
        if name == WEBKIT and attempt is _playwright_install:
            continue  # Playwright's own WebKit is not this one.
        said += attempt(name)
        if choice := _find(name):
            print(f"The end-to-end tests will use {choice.description}.")
            return
    print(said, file=sys.stderr)
    if name == WEBKIT:
        print(f"No {name} found: its tests are skipped. {_packages(name)} would bring it.")
        return
    sys.exit(
        f"No {name} found and none could be installed: please install {name} and run this again."
    )


def _packages(name: str) -> str:
    return f"On Debian, apt install {' '.join(DEBIAN_PACKAGES[name])}"


def _find(name: str) -> Choice | None:
    if name == WEBKIT:
        return choose_webkit()
    with sync_playwright() as playwright:
        return choose(name, getattr(playwright, name).executable_path)


def _nothing(_: str) -> str:
    """Attempt nothing: a browser may be there already."""
    return ""


def _playwright_install(name: str) -> str:
    print(f"No {name} here: asking Playwright to download one.", flush=True)
    return _try(sys.executable, "-m", "playwright", "install", name)


def _debian_install(name: str) -> str:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return ""
    print(f"Installing Debian's {' and '.join(DEBIAN_PACKAGES[name])}.", flush=True)
    said = _try("apt-get", "update")
    return said + _try(
        "apt-get", "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES[name]
    )


def _try(*command: str) -> str:
    """Run a command that may fail, and return what it said, for when no browser comes of it."""
    try:
        done = subprocess.run(  # noqa: S603 - Fixed words.
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} took too long and was stopped.\n"
    return done.stdout


if __name__ == "__main__":
    browser = sys.argv[1] if len(sys.argv) > 1 else "chromium"
    if browser not in DEBIAN_PACKAGES:
        sys.exit(f"Unknown browser {browser!r}: choose from {', '.join(DEBIAN_PACKAGES)}.")
    main(browser)
