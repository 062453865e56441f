"""A person at a program, whose system's browser is one that presses the buttons itself."""

from __future__ import annotations

import traceback
import webbrowser
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.support import plain_http
from tests.support.form_browser import FormBrowser

NAME = "person"


class PersonWithBrowser(webbrowser.BaseBrowser):
    """What ``webbrowser.open`` opens, while ``install`` is in force.

    Args:
        person: Who sits there.

    Attributes:
        opened: The addresses that a program has opened.
        shown: The text that the program's own page has shown at the end.
    """

    def __init__(self, person: FormBrowser) -> None:
        super().__init__(NAME)
        self.person = person
        self.opened: list[str] = []
        self.shown = ""

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Be the system's browser, until the test is over."""
        patch.setattr(webbrowser, "_tryorder", [])
        webbrowser.register(NAME, None, self, preferred=True)

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - the base class's
        """Visit the provider, sign in there and follow it back to the program."""
        self.opened.append(url)
        try:
            back = self.person.visit(url)
        except AssertionError:  # The provider shows an error: the program need not wait.
            traceback.print_exc()
            back = _failed(url)
        self.shown = plain_http.get(back).text
        return True


def _failed(url: str) -> str:
    asked = dict(parse_qsl(urlsplit(url).query))
    answer = urlencode({"error": "provider_shows_an_error", "state": asked["state"]})
    return f"{asked['redirect_uri']}?{answer}"
