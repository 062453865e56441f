"""The translations are complete: every message has one, and every one belongs to a message."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

from server.notes import NoteChanged
from tests.page.translations import languages
from tests.support.paths import ROOT
from unexpired import errors, sign_in_redirect
from unexpired.secret_strength import weaknesses
from unexpired_server.errors import Failure
from views.activity.entries import Kind

VIEWS = sorted((ROOT / "app" / "views").rglob("*.py"))
TRANSLATED_ATTRIBUTES = {"aria-label", "placeholder", "title"}
UNTRANSLATED_TAGS = {"script", "noscript"}  # boot.js translates, so not without JavaScript.
SENTENCE = re.compile(r"[A-Z“].* [a-z{].*|[A-Z][a-z]+[.!?]$", re.DOTALL)
NUMBER = re.compile(r"\d+")


LANGUAGES = languages()


class Markup(HTMLParser):
    """Collects the visible texts and the accessible names in the page's body."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._untranslated: list[str] = []
        self.feed((ROOT / "index.html").read_text("utf-8").partition("<body>")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts |= {text for name, text in attrs if name in TRANSLATED_ATTRIBUTES and text}
        if tag in UNTRANSLATED_TAGS or ("translate", "no") in attrs:
            self._untranslated.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._untranslated[-1:] == [tag]:
            self._untranslated.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._untranslated:
            self.texts.add(" ".join(data.split()))


def _constants(module: Path) -> Iterator[str]:
    """Yield the strings in a module, without the docstrings."""
    tree = ast.parse(module.read_text("utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield from (text for text in [node.value] if isinstance(text, str))


def _translated(module: Path) -> Iterator[str]:
    """Yield the literal messages that a module translates, and the titles of its views."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant(value=str(message)), *_]):
                yield message
            case ast.Call(
                func=ast.Name(id="tr_plural"),
                args=[_, ast.Constant(value=str(one)), ast.Constant(value=str(other))],
            ):
                yield from (one, other)
            case ast.Assign(targets=[ast.Name(id="title")], value=ast.Constant(value=str(message))):
                yield message


def _library() -> Iterator[str]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.UnexpiredError):
            yield kind.message
    yield from errors.SIGN_IN_MESSAGES.values()
    yield from sign_in_redirect.MESSAGES.values()
    yield from filter(SENTENCE.match, _constants(ROOT / "app" / "unexpired" / "messages.py"))


def _progress() -> list[str]:
    """Return the texts of boot_progress.js: those with a blank, but neither PyScript's nor code."""
    script = (ROOT / "app" / "boot_progress.js").read_text("utf-8")
    texts = re.findall(r'"([^"\n]*)"', script)
    code = re.compile(r"use strict|Loading |.*[\[(:]|\W*$")
    return [text for text in texts if " " in text and not code.match(text)]


def _codes(kind: type[Failure] = Failure) -> Iterator[str]:
    for leaf in kind.__subclasses__():
        if "code" in vars(leaf):
            yield leaf.code
        yield from _codes(leaf)


CONSTANTS = set(chain.from_iterable(map(_constants, VIEWS)))
SOURCES = {
    "the markup": Markup().texts,
    "boot_progress.js": set(_progress()),
    "the views": set(chain.from_iterable(map(_translated, VIEWS))),
    "constants of the views": {text for text in CONSTANTS if SENTENCE.match(text)},
    "the entries": set(get_args(Kind)),
    "the library": set(_library()),
    "the server's codes": set(_codes()),
    "the notes' codes": {NoteChanged.code},
    "the weaknesses of secrets": {NUMBER.sub("{}", reason) for reason in weaknesses("secret")},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_has_a_translation(language: str, source: str) -> None:
    """Every text that is shown or read aloud is translated, wherever it is written."""
    assert SOURCES[source], "No messages were found, so nothing would be tested."
    assert SOURCES[source] - set(LANGUAGES[language]) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_is_used(language: str) -> None:
    """No translation is left over from a message that has changed."""
    assert (
        set(LANGUAGES[language]) - CONSTANTS - set(chain.from_iterable(SOURCES.values())) == set()
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_has_the_placeholders_of_its_message(language: str) -> None:
    """A translation takes as many values as the English message, and is not empty."""
    entries = LANGUAGES[language].items()
    assert [one for one, other in entries if one.count("{}") != other.count("{}")] == []
    assert [one for one, other in entries if not other.strip()] == []
