"""A page at npm's oidc-provider in WebKitGTK: in, across expiries, and out again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import WebKitGTK

from tests.support import provider_example
from tests.webkit.window import Window

RENEWALS = 2
BLANK = "void (document.querySelector('output').textContent = '')"

provider = provider_example.provider
home = provider_example.home


@pytest.fixture
def window(webkit: WebKitGTK, home: str) -> Iterator[Window]:
    """A window without any session, here or at the provider."""
    first = Window(webkit, home).forgets("/openapi.json")
    yield first
    first.close_others()


def test_a_page_signs_in_survives_expiries_and_signs_out(window: Window) -> None:
    """The provider is of another origin, and so are the page's calls to it."""
    window.goes("/")
    signs_in_at_provider(window)
    assert window.waits(lambda: greeting(window)) == "Hello, ada."
    first = window.record
    while window.record["generation"] < first["generation"] + RENEWALS:
        assert asks_again(window) == "Hello, ada."
    assert window.record["session"] == first["session"]
    window.find("button", "Sign out").click()
    window.find("h1", "Sign out here, too?")
    window.find("button", "Sign out").click()
    window.find("h1", "Sign in")  # The page has no session, and the provider has ended its own.


def signs_in_at_provider(window: Window) -> None:
    """Sign in there by name and password, and allow what the page asks for."""
    window.find("input", "Name").send_keys("ada")
    window.find("input", "Password").send_keys("any")
    window.find("button", "Continue").click()
    window.find("h1", "Allow access")
    window.find("button", "Continue").click()


def asks_again(window: Window) -> str:
    """Press the button; return what the page then says."""
    window.evaluate(BLANK)
    window.find("button", "Ask").click()
    return window.waits(lambda: greeting(window))


def greeting(window: Window) -> str:
    """Return what the page says; empty while it waits."""
    return window.text("output")
