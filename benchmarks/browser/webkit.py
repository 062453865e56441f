"""Loading the page in WebKitGTK, which Playwright does not drive."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from selenium.webdriver import WebKitGTK

from browsers import choose_webkit
from tests.support import webkitgtk

NAME = "webkitgtk"
LIMIT_S = 120
READY = """
const done = arguments[0];
const look = () => {
    if (document.documentElement.dataset.ready === "true") return done(performance.now());
    requestAnimationFrame(look);
};
look();
"""


def is_available() -> bool:
    """Return whether WebKitGTK is installed; print it."""
    choice = choose_webkit()
    print(choice.description if choice else f"There is no {NAME} here: it is left out.")
    return choice is not None


def ready_times(address: str, visits: int) -> list[float]:
    """Visit a page some times in a browser that has just started, with an empty profile.

    Returns:
        For each visit, the seconds from the start of the navigation until Python runs.
    """
    with TemporaryDirectory() as desktop, webkitgtk.display() as shown_on:
        webkitgtk.configure(Path(desktop))
        driver = webkitgtk.start(shown_on, Path(desktop))
        try:
            driver.set_script_timeout(LIMIT_S)
            driver.get(f"{address}/healthz")
            return [_visit(driver, address) for _ in range(visits)]
        finally:
            driver.quit()


def _visit(driver: WebKitGTK, address: str) -> float:
    driver.get(address)
    milliseconds: float = driver.execute_async_script(READY)
    driver.get("about:blank")
    return milliseconds / 1000
