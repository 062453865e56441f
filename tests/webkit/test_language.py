"""The page's language in WebKitGTK: German, and one that somebody adds."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from selenium.webdriver import WebKitGTK

from tests.e2e.test_language import ENGLISH, TEXTS
from tests.support.proxy import HTTPProxy, RawResponse
from tests.webkit.test_start import path_of, runs_first
from tests.webkit.window import Window

FRENCH = {"Sign in": "Se connecter", "Signed out": "Déconnecté"}
TRANSLATIONS = "translations.js"


def prefers(*tags: str) -> Callable[[RawResponse], RawResponse]:
    """Return a change of the page: the browser's languages are these, the preferred one first."""
    languages = f"{{ get: () => {json.dumps(tags)} }}"
    return runs_first(f"Object.defineProperty(navigator, 'languages', {languages})")


def adds_french(response: RawResponse) -> RawResponse:
    """Add a language to the page's translations."""
    status, fields, content = response
    added = f"\nglobalThis.translations.fr = {json.dumps(FRENCH)};"
    return status, fields, content + added.encode()


@pytest.fixture
def visitor(webkit: WebKitGTK, host: HTTPProxy) -> Window:
    """A window at this host, without a session."""
    return Window(webkit, host.url).forgets()


def test_a_german_browser_shows_the_page_in_german(visitor: Window, host: HTTPProxy) -> None:
    """No text is left in English, whether it comes from the markup or from Python."""
    host.change("/", prefers("de-AT", "en"))
    visitor.opens().find("h1", "Anmelden")
    visitor.shows("Abgemeldet", "header")
    assert visitor.evaluate("document.documentElement.lang") == "de"
    assert visitor.evaluate("document.title") == "Anmelden · Unexpired"
    texts = visitor.evaluate(f"({TEXTS})()")
    assert [text for text in texts if ENGLISH.fullmatch(text)] == []


def test_another_language_is_one_entry_in_one_file(visitor: Window, host: HTTPProxy) -> None:
    """Nothing else names the languages: markup and Python take what the file has."""
    host.change("/", prefers("fr-CA", "de"))
    host.change(path_of(TRANSLATIONS), adds_french)
    visitor.opens().find("h1", FRENCH["Sign in"])
    visitor.shows(FRENCH["Signed out"], "header")
    assert visitor.evaluate("document.documentElement.lang") == "fr"
    assert visitor.evaluate("document.title") == "Se connecter · Unexpired"
