"""A person at a window of WebKitGTK, who finds the page's elements by their accessible names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Self, TypeVar

from selenium.common.exceptions import (
    NoSuchElementException,
    NoSuchFrameException,
    StaleElementReferenceException,
)
from selenium.webdriver import WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.server_process import PASSWORDS

TIMEOUT_SECONDS = 120
POLL_SECONDS = 0.1
# The last is what WebKit answers while one page gives way to the next.
CHANGING = (NoSuchElementException, StaleElementReferenceException, NoSuchFrameException)
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

    def opens(self, path: str = "/") -> Window:
        """Open the page, and wait until Python runs."""
        self.goes(path)
        return self.is_ready()

    def is_ready(self) -> Window:
        """Wait until Python runs."""
        self.waits(lambda: self.evaluate("document.documentElement.dataset.ready") == "true")
        return self

    def opens_another(self, path: str = "/") -> Window:
        """Open the page in a second window."""
        self._driver.switch_to.new_window("window")
        return Window(self._driver, self.home).opens(path)

    def follows(self, opening: Callable[[], object]) -> Window:
        """Return the window that something opens."""
        known = set(self._driver.window_handles)
        opening()
        (handle,) = self.waits(lambda: set(self._driver.window_handles) - known)
        self._driver.switch_to.window(handle)
        return Window(self._driver, self.home)

    def opens_a_copy(self) -> Window:
        """Open the page in a window that gets a copy of this one's ``sessionStorage``."""
        return self.follows(lambda: self.evaluate("void window.open('/healthz')")).opens()

    def beside(self) -> Window:
        """Return another window at this origin, which does not show the page."""
        self._driver.switch_to.new_window("window")
        self._driver.get(f"{self.home}/healthz")
        return Window(self._driver, self.home)

    def signs_in(self, name: str = "ada", then: str = "Notes") -> Window:
        """Sign in through the form, and wait for the view that follows."""
        self.find("input", "Username").send_keys(name)
        return self.signs_in_again(then, name)

    def signs_in_again(self, then: str = "Notes", name: str = "ada") -> Window:
        """Sign in where the form still has the name."""
        self.find("input", "Password").send_keys(PASSWORDS[name])
        self.presses("Sign in")
        self.find("h1", then)
        return self

    def signs_out(self) -> None:
        """Sign out."""
        self.presses("Sign out")
        self.find("h1", "Sign in")

    def adds(self, text: str) -> None:
        """Add a note, and wait until the server has it."""
        self.find("textarea", "New note").send_keys(text)
        self.presses("Add note")
        self.waits(lambda: text in self.text("ul[aria-label=Notes] li:not(.pending)"))

    def views(self, name: str) -> Window:
        """Go to a view by its link."""
        self.find("a", name).click()
        self.find("h1", name)
        return self

    def presses(self, button: str) -> None:
        """Press a button."""
        self.find("button", button).click()

    def shows(self, text: str, selector: str = "body") -> None:
        """Wait until this text is on the page."""
        self.waits(lambda: text in self.text(selector))

    def lacks(self, text: str, selector: str = "body") -> None:
        """Wait until this text is not on the page."""
        self.waits(lambda: text not in self.text(selector))

    def holds(self, condition: str) -> None:
        """Wait until a condition, in JavaScript, holds."""
        self.waits(lambda: self.evaluate(condition))

    def resizes(self, width: int, height: int = 800) -> None:
        """Change the size of the window."""
        self._driver.switch_to.window(self._handle)
        self._driver.set_window_size(width, height)
        self.holds(f"innerWidth === {width}")

    def empties(self, box: WebElement) -> None:
        """Delete what is in a box, as a person does: each key has its event."""
        for key in (Keys.CONTROL + "a", Keys.DELETE):
            box.send_keys(key)

    def keys(self, *keys: str) -> None:
        """Press keys, where the focus is."""
        self._driver.switch_to.window(self._handle)
        self._driver.switch_to.active_element.send_keys(*keys)

    def find(self, tag: str, name: str) -> WebElement:
        """Wait for a visible element with this accessible name."""
        self._driver.switch_to.window(self._handle)

        def visible() -> WebElement | None:
            elements = self._driver.find_elements(By.TAG_NAME, tag)
            return next((it for it in elements if it.is_displayed() and is_named(it)), None)

        def is_named(element: WebElement) -> bool:
            # WebKit appends the value of an input that is inside its label.
            found = element.accessible_name
            return found == name or (tag == "input" and found.startswith(f"{name} "))

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
