"""``unexpired build`` of a page of somebody else's, beside the API."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.watch import Watch
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS
from unexpired_kit.site import build

PACKAGES = re.compile(r"^packages = .*$", re.MULTILINE)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    source = folder / "source"
    shutil.copytree(ROOT / "examples" / "ten_lines", source)
    settings = source / "pyscript.toml"
    settings.write_text(PACKAGES.sub('packages = ["unexpired"]', settings.read_text()))
    with (source / "app" / "main.py").open("a") as main:
        main.write('document.documentElement.dataset.ready = "true"\n')
    build(source, folder / "dist", "")
    return folder / "dist"


@pytest.fixture
def settings(built: Path) -> dict[str, float | str]:
    return {"page_dir": str(built)}


def test_a_built_page_starts_from_its_snapshot_and_signs_in(page: Page, watch: Watch) -> None:
    """Python is restored with the library, and nothing comes from another host."""
    page.goto("/")
    page.wait_for_function("performance.getEntriesByName('python-restored').length")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(PASSWORDS["ada"])
    expect(page.locator("html[data-ready=true]")).to_be_attached()
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("output")).to_contain_text("ada")
    assert watch.foreign_requests == []
