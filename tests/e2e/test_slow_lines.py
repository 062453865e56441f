"""The start of the page on a slow line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.person import Person
from tests.support.built_page import built_page
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess
from tests.support.slow_line import slow_line

PROGRESS = ROOT / "app" / "boot_progress.js"
BYTES_A_SECOND = 600_000
TOLERANCE = 0.15
# What the page shows is recorded at each change, for it is gone once the page has started.
RECORDER = """
globalThis.shown = { bar: [], details: new Set(), alerts: [] };
document.addEventListener("DOMContentLoaded", () => {
    const record = () => {
        shown.bar.push(document.querySelector("#boot progress").value);
        shown.details.add(document.getElementById("boot-detail").textContent);
        const alert = document.getElementById("boot-alert");
        if (!alert.hidden) shown.alerts.push(alert.textContent);
    };
    const options = { subtree: true, childList: true, attributes: true, characterData: true };
    new MutationObserver(record).observe(document.getElementById("boot"), options);
});
"""


@pytest.fixture
def home(backend: ServerProcess) -> Iterator[str]:
    """The server's address, over a slow line and not in any cache."""
    with slow_line(backend.url, BYTES_A_SECOND) as address:
        yield address


def test_the_bar_moves_by_bytes(person: Person, page: Page) -> None:
    """It moves while a file is on its way, with an estimate, and nothing is called a failure."""
    page.add_init_script(RECORDER)
    person.opens()
    bar = page.evaluate("[...new Set(shown.bar)]")
    assert bar == sorted(bar)
    assert len(bar) >= 8
    details = page.evaluate("[...shown.details]")
    estimates = [text for text in details if re.fullmatch(r"[\d.]+ of [\d.]+ MB · .* left", text)]
    assert estimates
    assert page.evaluate("shown.alerts") == []


def test_what_the_files_weigh_is_known() -> None:
    """Before a file's response has come, the page counts with about its real size."""
    table = re.search(r"const LARGE = (\{.*?\});", PROGRESS.read_text("utf-8"))
    assert table
    weights = json.loads(table[1].replace("_", "").replace("pythonstdlib", "python_stdlib"))
    for name, weight in weights.items():
        smallest = min(_sizes(built_page(), name))
        assert abs(smallest - weight) < TOLERANCE * weight, (name, smallest)


def _sizes(folder: Path, name: str) -> list[int]:
    return [path.stat().st_size for path in folder.rglob(f"{name}*")]
