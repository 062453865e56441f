"""What a notebook shows a person who signs in."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from unexpired.oidc.device import DevicePrompt
from unexpired.oidc.notebook import show_code, show_link

URL = 'https://login.example.com/authorize?a=1&copy="b"'
DEVICE = "https://login.example.com/device"


class Display:
    """Stands for IPython, and keeps what is displayed."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}

    def __call__(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.content = content

    @property
    def html(self) -> Html:
        return Html(self.content["text/html"])


class Html(HTMLParser):
    """What a front end makes of HTML: the tags with their attributes, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    display = Display()
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return display


def link(href: str) -> tuple[str, dict[str, Any]]:
    return "a", {"href": href, "target": "_blank", "rel": "noopener"}


def test_a_link_opens_the_providers_page_in_a_new_window(display: Display) -> None:
    show_link(URL)
    assert (display.html.tags, display.html.text) == ([link(URL)], "Sign in")
    assert display.content["text/plain"] == f"Sign in: {URL}"


def test_the_text_of_a_link_may_be_the_readers_own(display: Display) -> None:
    show_link(URL, "Anmelden <hier>")
    assert (display.html.tags, display.html.text) == ([link(URL)], "Anmelden <hier>")


@pytest.mark.parametrize(("complete", "href"), [("", DEVICE), (f"{DEVICE}?c=1", f"{DEVICE}?c=1")])
def test_a_code_is_shown_also_where_a_link_has_it(
    display: Display, complete: str, href: str
) -> None:
    """The person compares it, so that nobody can send them a link to a code of their own."""
    show_code(DevicePrompt("<B>&C", DEVICE, complete, 600.0))
    assert display.html.tags == [link(href), ("b", {})]
    assert display.html.text == f"Open {DEVICE}. The code is <B>&C."
    assert display.content["text/plain"] == f"Open {DEVICE}. Code: <B>&C"
