"""The documentation's site: built without a warning, complete, and without other hosts."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import unexpired
from tests.docs.pages import DOCS, everything, snippets
from tests.support.paths import ROOT
from unexpired.token_response import ENDINGS, EXPIRED, REFUSALS
from unexpired_server.sessions.audit import Cause
from unexpired_server.settings import Settings

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
LOADED = {"img": "src", "script": "src", "link": "href", "source": "srcset", "iframe": "src"}


class PageParser(HTMLParser):
    """Finds what a page of the site loads, its links, and its anchors.

    Args:
        path: The page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given["id"]} if "id" in given else set()
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given:
            self.loads.append(given[LOADED[tag]])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    target = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q")
    done = subprocess.run(  # noqa: S603 - Our own command.
        [*command, DOCS, target], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return target


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, PageParser]:
    """Every page of the site."""
    return {path: PageParser(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    """Each file of ``docs/`` becomes a page."""
    for source in DOCS.rglob("*.md"):
        assert (site / source.relative_to(DOCS)).with_suffix(".html").is_file()


def test_the_site_loads_nothing_from_other_hosts(pages: dict[Path, PageParser]) -> None:
    """No script, style or picture: the site can be read offline."""
    loads = [address for page in pages.values() for address in page.loads]
    assert loads
    assert [address for address in loads if urlsplit(address).netloc] == []


def test_no_link_within_the_site_is_broken(pages: dict[Path, PageParser]) -> None:
    """Both the page and the anchor exist."""
    anchors = {path: page.anchors for path, page in pages.items()}
    broken = [
        f"{path.name}: {link}" for path, link in _links(pages) if not _leads(path, link, anchors)
    ]
    assert broken == []


def test_every_public_name_is_in_the_reference(site: Path, pages: dict[Path, PageParser]) -> None:
    """The names in ``unexpired.__all__``."""
    reference = {site / "reference" / f"{name}.html" for name in ("client", "errors")}
    anchors = set().union(*(pages[path].anchors for path in reference))
    assert {f"unexpired.{name}" for name in unexpired.__all__} - anchors == set()


def test_the_front_page_leads_to_every_page(site: Path, pages: dict[Path, PageParser]) -> None:
    """By a link in its text or beside it: no page is found by chance only."""
    front = pages[site / "index.html"].links
    assert {str(one.relative_to(DOCS).with_suffix(".html")) for one in DOCS.rglob("*.md")} - {
        *front,
        "index.html",
    } == set()


def test_troubleshooting_explains_every_way_in_which_a_session_ends() -> None:
    """Each code that the client gets, and each cause in the table of events."""
    text = (DOCS / "how-to" / "troubleshooting.md").read_text()
    expected = {*REFUSALS, *ENDINGS, EXPIRED, *Cause}
    assert {one for one in expected if f"| `{one}` |" not in text} == set()


def test_the_search_finds_each_setting_by_both_of_its_names(site: Path) -> None:
    """As a main entry, which leads to the setting itself and is listed first."""
    index = (site / "searchindex.js").read_text()
    for name in Settings.model_fields:
        for shown in (name, f"unexpired_{name}"):
            assert re.search(rf'"{shown} \(setting\)":\[\[\d+,"setting-{name}",true\]\]', index)


def test_every_name_that_a_snippet_imports_is_in_the_reference(
    site: Path, pages: dict[Path, PageParser]
) -> None:
    """A reader who copies an import can look up what it brings, in whatever module it is."""
    reference = set().union(*(pages[path].anchors for path in (site / "reference").glob("*.html")))
    assert "unexpired_server.Service" in imported_names()
    assert imported_names() - reference == set()


def imported_names() -> set[str]:
    """Return the full names of ours that the snippets import."""
    texts = (one.text for page in everything() for one in snippets(page, "python"))
    nodes = (node for text in texts for node in ast.parse(text).body)
    found = (node for node in nodes if isinstance(node, ast.ImportFrom))
    ours = ((node.module or "", node.names) for node in found)
    return {
        f"{module}.{one.name}"
        for module, names in ours
        if module.partition(".")[0] in {"unexpired", "unexpired_server"}
        for one in names
    }


def _links(pages: dict[Path, PageParser]) -> Iterator[tuple[Path, str]]:
    for path, page in pages.items():
        yield from ((path, link) for link in page.links if not urlsplit(link).scheme)


def _leads(path: Path, link: str, anchors: dict[Path, set[str]]) -> bool:
    address, place = urldefrag(link)
    target = (path.parent / unquote(address)).resolve() if address else path
    return unquote(place) in anchors[target] if target in anchors else target.is_file()


def test_the_pictures_are_up_to_date() -> None:
    """Each is what ``draw.py`` draws."""
    drawn = runpy.run_path(str(DOCS / "pictures" / "draw.py"))["PICTURES"]
    for name, picture in drawn.items():
        assert (DOCS / "pictures" / f"{name}.svg").read_text() == picture.drawn()


def test_each_test_that_the_documentation_names_exists() -> None:
    """A rule whose test is gone would be a promise that nothing holds."""
    named = {one for page in everything() for one in NAMED_TEST.findall(page.read_text())}
    assert len(named) > 40
    assert {
        f"{path}::{name}" for path, name in named if name not in defined_in(ROOT / path)
    } == set()


def defined_in(path: Path) -> set[str]:
    """Return the names of the functions in a file; none if there is no such file."""
    nodes = ast.parse(path.read_text()).body if path.is_file() else []
    return {one.name for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
