"""A person at a window of WebKitGTK, who finds the page's elements by their accessible names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Self, TypeVar

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.server_process import PASSWORDS

TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.1
CHANGING = (NoSuchElementException, StaleElementReferenceException)
Found = TypeVar("Found")


class Window:
    """One window of a browser.

    Args:
        driver: The browser; its current window is the one meant.
        home: The server's address.
    """

    def __init__(self, driver: WebKitGTK, home: str) -> None:
        self._driver = driver
        self.home = home
        self._handle = driver.current_window_handle

    def goes(self, path: str) -> None:
        """Go to a path of the server, which may lead elsewhere."""
        self._driver.switch_to.window(self._handle)
        self._driver.get(self.home + path)

    def forgets(self, path: str = "/healthz") -> Self:
        """Empty this origin's storage and cookies, at a path that does not show the page."""
        self.goes(path)
        self.evaluate("void (localStorage.clear(), sessionStorage.clear())")
        self._driver.delete_all_cookies()
        return self

    def opens(self) -> Window:
        """Open the page, and wait until Python runs."""
        self.goes("/")
        self.waits(lambda: self.evaluate("document.documentElement.dataset.ready") == "true")
        return self

    def opens_another(self) -> Window:
        """Open the page in a second window."""
        self._driver.switch_to.new_window("window")
        return Window(self._driver, self.home).opens()

    def opens_a_copy(self) -> Window:
        """Open the page in a window that gets a copy of this one's ``sessionStorage``."""
        known = set(self._driver.window_handles)
        self.evaluate("void window.open('/healthz')")
        (handle,) = self.waits(lambda: set(self._driver.window_handles) - known)
        self._driver.switch_to.window(handle)
        return Window(self._driver, self.home).opens()

    def beside(self) -> Window:
        """Return another window at this origin, which does not show the page."""
        self._driver.switch_to.new_window("window")
        self._driver.get(f"{self.home}/healthz")
        return Window(self._driver, self.home)

    def signs_in(self, name: str = "ada") -> Window:
        """Sign in through the form, and wait for the notes."""
        self.find("input", "Username").send_keys(name)
        self.find("input", "Password").send_keys(PASSWORDS[name])
        self.find("button", "Sign in").click()
        self.find("h1", "Notes")
        return self

    def signs_out(self) -> None:
        """Sign out."""
        self.find("button", "Sign out").click()
        self.find("h1", "Sign in")

    def adds(self, text: str) -> None:
        """Add a note, and wait until the server has it."""
        self.find("textarea", "New note").send_keys(text)
        self.find("button", "Add note").click()
        self.waits(lambda: text in self.text("ul[aria-label=Notes] li:not(.pending)"))

    def find(self, tag: str, name: str) -> WebElement:
        """Wait for a visible element with this accessible name."""
        self._driver.switch_to.window(self._handle)

        def visible() -> WebElement | None:
            elements = self._driver.find_elements(By.TAG_NAME, tag)
            named = (it for it in elements if it.is_displayed() and it.accessible_name == name)
            return next(named, None)

        return self.waits(visible)

    def text(self, selector: str) -> str:
        """Return the text of the first such element."""
        self._driver.switch_to.window(self._handle)
        return str(self._driver.find_element(By.CSS_SELECTOR, selector).text)

    def waits(self, condition: Callable[[], Found | None]) -> Found:
        """Wait until the condition holds; return its value."""
        wait = WebDriverWait(self._driver, TIMEOUT_SECONDS, POLL_SECONDS, CHANGING)
        return wait.until(lambda _: condition())  # type: ignore[return-value]

    def evaluate(self, expression: str, *arguments: object) -> Any:
        """Return the value of a JavaScript expression, which has the ``arguments``."""
        self._driver.switch_to.window(self._handle)
        return self._driver.execute_script(f"return {expression}", *arguments)

    def later(self, script: str, *arguments: object) -> Any:
        """Return what a script gives to the function that is the last of its ``arguments``."""
        self._driver.switch_to.window(self._handle)
        return self._driver.execute_async_script(script, *arguments)

    @property
    def cookies(self) -> list[dict[str, Any]]:
        """All cookies of the origin."""
        self._driver.switch_to.window(self._handle)
        cookies: list[dict[str, Any]] = self._driver.get_cookies()
        return cookies

    def has_cookies(self, cookies: list[dict[str, Any]]) -> None:
        """Put cookies into the browser."""
        self._driver.switch_to.window(self._handle)
        for cookie in cookies:
            self._driver.add_cookie(cookie)

    @property
    def record(self) -> dict[str, Any]:
        """The stored session; empty when there is none."""
        record: dict[str, Any] = json.loads(
            self.evaluate("localStorage.getItem('unexpired') ?? '{}'")
        )
        return record

    def close_others(self) -> None:
        """Close every other window."""
        for handle in self._driver.window_handles:
            if handle != self._handle:
                self._driver.switch_to.window(handle)
                self._driver.close()
        self._driver.switch_to.window(self._handle)
