"""The documentation as a site: built without a warning, whole, and sufficient to itself."""

from __future__ import annotations

import ast
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

LOADED = {"img": "src", "script": "src", "link": "href", "source": "srcset", "iframe": "src"}


class Reader(HTMLParser):
    """What a page of the site loads, where it links to, and which places of it can be linked to.

    Args:
        path: The page.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.places |= {given["id"]} if "id" in given else set()
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADED.get(tag) in given:
            self.loads.append(given[LOADED[tag]])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    target = tmp_path_factory.mktemp("site")
    command = (sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q")
    done = subprocess.run(  # noqa: S603 - Our own words.
        [*command, DOCS, target], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return target


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Reader]:
    """Every page of the site."""
    return {path: Reader(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_page_of_the_documentation_is_in_the_site(site: Path) -> None:
    """Each file of `docs/` has become a page."""
    for source in DOCS.rglob("*.md"):
        assert (site / source.relative_to(DOCS)).with_suffix(".html").is_file()


def test_the_site_asks_no_other_host_for_anything(pages: dict[Path, Reader]) -> None:
    """No script, style or picture comes from elsewhere: it can be read offline."""
    loads = [address for page in pages.values() for address in page.loads]
    assert loads
    assert [address for address in loads if urlsplit(address).netloc] == []


def test_every_link_inside_the_site_leads_somewhere(pages: dict[Path, Reader]) -> None:
    """A link to a page finds the page, and a link to a place in it finds the place."""
    places = {path: page.places for path, page in pages.items()}
    broken = [
        f"{path.name}: {link}" for path, link in _links(pages) if not _leads(path, link, places)
    ]
    assert broken == []


def test_every_public_name_is_in_the_reference(site: Path, pages: dict[Path, Reader]) -> None:
    """Whatever `unexpired` offers can be looked up."""
    reference = {site / "reference" / f"{name}.html" for name in ("client", "errors")}
    places = set().union(*(pages[path].places for path in reference))
    assert {f"unexpired.{name}" for name in unexpired.__all__} - places == set()


def test_every_name_that_a_snippet_imports_is_in_the_reference(
    site: Path, pages: dict[Path, Reader]
) -> None:
    """A reader who copies an import can look up what it brings, in whatever module it is."""
    reference = set().union(*(pages[path].places for path in (site / "reference").glob("*.html")))
    assert "unexpired_server.service.Service" in imported_names()
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


def _links(pages: dict[Path, Reader]) -> Iterator[tuple[Path, str]]:
    for path, page in pages.items():
        yield from ((path, link) for link in page.links if not urlsplit(link).scheme)


def _leads(path: Path, link: str, places: dict[Path, set[str]]) -> bool:
    address, place = urldefrag(link)
    target = (path.parent / unquote(address)).resolve() if address else path
    return unquote(place) in places[target] if target in places else target.is_file()


def test_the_pictures_are_as_they_are_described() -> None:
    """Each picture is what `draw.py` draws, so a change to one is a change to its words."""
    drawn = runpy.run_path(str(DOCS / "pictures" / "draw.py"))["PICTURES"]
    for name, picture in drawn.items():
        assert (DOCS / "pictures" / f"{name}.svg").read_text() == picture.drawn()
