"""Take a picture of each view, light and dark, wide and narrow, into docs/screenshots/.

Needs ``make setup browser``. Runs a separate server in a temporary folder.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from browsers import choose

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "screenshots"
WIDTHS = {"wide": (1180, 860), "narrow": (390, 844)}
SCHEMES = ("light", "dark")
DEADLINE = 30  # s, for the server to start
NOTES = (
    "Tokens expire.\nSessions shouldn't.",
    "Water the fern on Thursday; it remembers who forgot.",
    "Call Ada about the punch cards.",
)
NEAR_END = """() => {
    const record = JSON.parse(localStorage.getItem("unexpired"));
    const near = { expiresAt: Date.now() / 1000 + 50, lifetime: 240, refused: "REFRESH_EXPIRED" };
    localStorage.setItem("unexpired", JSON.stringify({ ...record, ...near }));
    dispatchEvent(new StorageEvent("storage", { key: "unexpired" }));
}"""
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile Safari/604.1"


def main() -> None:
    """Take all pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with _server() as url, sync_playwright() as playwright:
        choice = choose("chromium", playwright.chromium.executable_path)
        if choice is None:
            sys.exit("There is no Chromium here: `make browser` finds or installs one.")
        browser = playwright.chromium.launch(**choice.launch)
        _prepare(browser, url)
        for width, size in WIDTHS.items():
            for scheme in SCHEMES:
                _tour(browser, url, f"{width}-{scheme}", size, scheme)
        _show_german(browser, url)


@contextmanager
def _server() -> Iterator[str]:
    """Run a server in demo mode on a free port; yield its address."""
    command = [sys.executable, "-m", "server", "serve", "--demo", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(  # noqa: S603 - Fixed arguments.
                command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, stdout=output, stderr=output
            )
        try:
            yield _address(log)
        finally:
            process.terminate()
            process.wait()


def _address(log: Path) -> str:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if match := re.search(r"http://[\w.]+:\d+", log.read_text()):
            return match[0]
        time.sleep(0.1)
    raise SystemExit(f"The server did not start:\n{log.read_text()}")


def _prepare(browser: Browser, url: str) -> None:
    """Write some notes, and sign in on a phone."""
    page = browser.new_page(base_url=url, user_agent=PHONE)
    _sign_in(page, "/#/notes")
    for note in reversed(NOTES):
        page.get_by_label("New note").fill(note)
        page.get_by_role("button", name="Add note").click()
        page.get_by_role("listitem").filter(has_text=note.split("\n")[0]).wait_for()
    page.close()


def _sign_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Username").fill("demo")
    page.get_by_label("Password").fill("demo")
    page.locator("[data-ready=true]").wait_for()
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator(".account").wait_for()


def _tour(browser: Browser, url: str, name: str, size: tuple[int, int], scheme: str) -> None:
    """Visit the views as a person would, and take a picture of each."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        device_scale_factor=1,
    )
    page = context.new_page()

    def shoot(view: str) -> None:
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=TARGET / f"{view}-{name}.png", animations="disabled")

    page.goto("/#/login")
    page.locator("[data-ready=true]").wait_for()
    shoot("sign-in")
    for view, heading in VISITORS_VIEWS.items():
        page.goto(f"/#/{view}")
        page.get_by_role("heading", name=heading).wait_for()
        shoot(view)
    _sign_in(page, "/#/notes")
    page.get_by_role("listitem").first.wait_for()
    shoot("notes")
    for view, show in VIEWS.items():
        page.goto(f"/#/{view}")
        show(page)
        shoot(view)
    for state, bring_about in STATES.items():
        bring_about(page)
        shoot(state)
    context.close()


def _show_german(browser: Browser, url: str) -> None:
    """Take a picture of the longest words on the narrowest screen."""
    page = browser.new_page(base_url=url, locale="de-DE", viewport={"width": 320, "height": 760})
    page.goto("/#/devices")
    page.get_by_label("Benutzername").fill("demo")
    page.get_by_label("Passwort").fill("demo")
    page.locator("[data-ready=true]").wait_for()
    page.get_by_role("button", name="Anmelden").click()
    page.get_by_text("dieses Gerät").wait_for()
    page.screenshot(path=TARGET / "devices-german.png", animations="disabled")
    page.close()


def _show_devices(page: Page) -> None:
    page.get_by_text("this device").wait_for()


def _show_secret_key(page: Page) -> None:
    page.get_by_label("Check an existing secret").fill("correct horse battery staple")


def _show_activity(page: Page) -> None:
    """Wait until several tokens have come and gone, with a burst of requests in between."""
    page.wait_for_timeout(18_000)
    page.get_by_role("button", name="Burst of 20 requests").click()
    page.get_by_text("20 times 200").wait_for()
    page.wait_for_timeout(16_000)
    page.locator(".timeline .retry").last.hover()


def _open_dialog(page: Page) -> None:
    page.goto("/#/devices")
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("dialog").wait_for()


def _lose_the_network(page: Page) -> None:
    page.keyboard.press("Escape")
    page.goto("/#/activity")
    page.get_by_role("button", name="Go offline").click()
    page.get_by_role("button", name="Try again now").wait_for()


def _come_near_the_end(page: Page) -> None:
    """Change the record as if another tab had been refused a refresh."""
    page.get_by_role("button", name="Come back online").click()
    page.get_by_text("Connected again.").wait_for()
    page.goto("/#/notes")
    page.evaluate(NEAR_END)
    page.get_by_role("button", name="Sign in again").wait_for()
    page.get_by_label("New note").fill("A thought that must not be lost")


def _show_change(page: Page) -> None:
    page.get_by_role("heading", name="Change password").wait_for()


VISITORS_VIEWS = {"sign-up": "Create account", "forgot": "Forgotten password"}

VIEWS: dict[str, Callable[[Page], None]] = {
    "password": _show_change,
    "devices": _show_devices,
    "secret-key": _show_secret_key,
    "activity": _show_activity,
}

STATES: dict[str, Callable[[Page], None]] = {
    "dialog": _open_dialog,
    "reconnecting": _lose_the_network,
    "near-end": _come_near_the_end,
}


if __name__ == "__main__":
    main()
