"""The documentation's snippets, and where each of them runs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sybil.document import Document
from sybil.parsers.myst import CodeBlockParser

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
"""Followed step by step, in an empty folder (tests/e2e/test_tutorial.py)."""

LANGUAGES = ("python", "sh", "toml", "html", "http")
PROVIDER_PAGES = {
    DOCS / "how-to" / "sign-in-with-a-provider.md",
    *(DOCS / "tutorials").glob("*.md"),
}
"""Pages whose code signs in at an identity provider (tests/docs/test_provider_guides.py)."""

API = "https://api.example.com"
"""The reader's API in the documentation; tests replace it by a server's address."""

NEEDS_BROWSER = ("from js ", "from pyscript ")
PAGES_IN_BROWSER = {"existing-page.md", "static-hosting.md", "other-servers.md"}
PAGES_OF_PROGRAMS = {"httpx.md", "desktop-and-adapters.md", "testing.md"}
"""Pages on which a client is not a page's, unless ``in_browser`` makes it."""


@dataclass(frozen=True)
class Snippet:
    """One code block of a page.

    Attributes:
        page: The file.
        line: The line at which its text begins.
        kind: The language.
        text: The code as the reader sees it.
        caption: The file that the reader writes it to, if there is one.
    """

    page: Path
    line: int
    kind: str
    text: str
    caption: str

    @property
    def needs_browser(self) -> bool:
        """Whether it is Python that runs only in a browser."""
        return any(word in self.text for word in NEEDS_BROWSER)

    @property
    def is_for_browsers(self) -> bool:
        """Whether it is Python for a page."""
        if self.needs_browser or "in_browser" in self.text or self.page.name in PAGES_IN_BROWSER:
            return True
        if self.page.name in PAGES_OF_PROGRAMS:
            return False
        return bool(re.search(r"\bclient\.", self.text)) or _awaits_outside_functions(self.text)

    @property
    def is_for_programs(self) -> bool:
        """Whether it is Python that runs anywhere."""
        return not self.is_for_browsers


def _awaits_outside_functions(text: str) -> bool:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    is_coroutine = compile(text, "", "exec", flags=flags, dont_inherit=True).co_flags
    return bool(is_coroutine & inspect.CO_COROUTINE)


def pages() -> list[Path]:
    """Return every page with snippets, but not the tutorial."""
    return [page for page in everything() if page != TUTORIAL and list(snippets(page, *LANGUAGES))]


def everything() -> list[Path]:
    """Return every page."""
    return [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]


def snippets(page: Path, *kinds: str) -> Iterator[Snippet]:
    """Yield the snippets of a page, in order."""
    parsers = (CodeBlockParser(kind, lambda _: None) for kind in kinds)
    for example in Document.parse(str(page), *parsers).examples():
        found = example.region.lexemes
        text, options = found["source"], found.get("options") or {}
        line = example.line + text.line_offset
        yield Snippet(page, line, found["arguments"], str(text), options.get("caption", ""))


def name(page: Path) -> str:
    """Return a page's path for the name of a test."""
    return str(page.relative_to(ROOT))
