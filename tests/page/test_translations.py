"""The translations are complete: no sentence is missing, and no entry is unused."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

from tests.page.translations import languages
from unexpired import errors, session, sign_in_redirect
from unexpired.secret_strength import weaknesses
from unexpired_server.errors import Failure
from views.activity.recorder import Kind

ROOT = Path(__file__).resolve().parents[2]
VIEWS = sorted((ROOT / "app" / "views").rglob("*.py"))
HEARD = {"aria-label", "placeholder", "title"}
UNHEARD = {"script", "noscript"}  # Without JavaScript nothing is translated.
SENTENCE = re.compile(r"[A-Z“].* [a-z{].*|[A-Z][a-z]+[.!?]$", re.DOTALL)
NUMBER = re.compile(r"\d+")


LANGUAGES = languages()


class Markup(HTMLParser):
    """Collects what people read or hear of the page's body."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: set[str] = set()
        self._unheard: list[str] = []
        self.feed((ROOT / "index.html").read_text("utf-8").partition("<body>")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.heard |= {text for name, text in attrs if name in HEARD and text}
        if tag in UNHEARD or ("translate", "no") in attrs:
            self._unheard.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unheard[-1:] == [tag]:
            self._unheard.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._unheard:
            self.heard.add(" ".join(data.split()))


def _constants(module: Path) -> Iterator[str]:
    """The strings in a module, docstrings left out."""
    tree = ast.parse(module.read_text("utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield from (text for text in [node.value] if isinstance(text, str))


def _translated(module: Path) -> Iterator[str]:
    """The strings that a module has translated where they stand, and the names of its views."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="tr"), args=[ast.Constant(value=str(sentence)), *_]):
                yield sentence
            case ast.Call(
                func=ast.Name(id="counted"),
                args=[_, ast.Constant(value=str(one)), ast.Constant(value=str(many))],
            ):
                yield from (one, many)
            case ast.Assign(
                targets=[ast.Name(id="title")], value=ast.Constant(value=str(sentence))
            ):
                yield sentence


def _library() -> Iterator[str]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.UnexpiredError):
            yield kind.message
    yield from sign_in_redirect.MESSAGES.values()
    yield from filter(SENTENCE.match, _constants(ROOT / "app" / "unexpired" / "messages.py"))
    yield from get_args(session.State)


def _stages() -> list[str]:
    boot = (ROOT / "app" / "boot.js").read_text("utf-8")
    return re.findall(r'"Loading [^"]*": "([^"]*)"', boot)


def _codes(kind: type[Failure] = Failure) -> Iterator[str]:
    for leaf in kind.__subclasses__():
        if "code" in vars(leaf):
            yield leaf.code
        yield from _codes(leaf)


CONSTANTS = set(chain.from_iterable(map(_constants, VIEWS)))
SOURCES = {
    "the markup": Markup().heard,
    "boot.js": set(_stages()),
    "the views": set(chain.from_iterable(map(_translated, VIEWS))),
    "sentences of the views": {text for text in CONSTANTS if SENTENCE.match(text)},
    "the recorder": set(get_args(Kind)),
    "the library": set(_library()),
    "the server's codes": set(_codes()),
    "the judgement of secrets": {NUMBER.sub("{}", reason) for reason in weaknesses("secret")},
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_missing(language: str, source: str) -> None:
    """What people can read or hear of the page is in the translations, wherever it is written."""
    assert SOURCES[source], "There is nothing to hold."
    assert SOURCES[source] - set(LANGUAGES[language]) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_entry_is_idle(language: str) -> None:
    """What is in the translations can be read or heard."""
    assert (
        set(LANGUAGES[language]) - CONSTANTS - set(chain.from_iterable(SOURCES.values())) == set()
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_entry_has_the_places_of_its_sentence(language: str) -> None:
    """As many values as the English sentence takes, and a sentence, not nothing."""
    entries = LANGUAGES[language].items()
    assert [one for one, other in entries if one.count("{}") != other.count("{}")] == []
    assert [one for one, other in entries if not other.strip()] == []
