"""``in_browser()`` in older versions of Pyodide and in other notebooks; `make hosts` runs these."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.e2e.hosts.build_jupyterlite import add_to_lock
from tests.e2e.hosts.conftest import SECONDS, tell, verify
from tests.e2e.hosts.pyodide_folder import copy_pyodide
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

MARIMO = ROOT / "build" / "marimo"
NPM = Path(__file__).parent / "node_modules"

pytestmark = pytest.mark.skipif(
    os.environ.get("HOSTS") != "all", reason="These hosts are tried by `make hosts`."
)


def test_a_session_in_a_classic_worker_of_pyodide_029(
    browser: Browser, api: ServerProcess, pages: Path
) -> None:
    """Its Python has no ``ssl``, and cannot wait for a promise in the middle of a function."""
    copy_pyodide(NPM / "pyodide-0.29", pages / "app" / "pyodide-0.29")
    with browser.new_context(base_url=api.url) as context:
        first, second = (tell({"older": context})["older"] for _ in range(2))
    verify(first, store="IndexedDBStore", lock="SharedLock")
    verify(second, store="IndexedDBStore", lock="SharedLock")
    assert (first["at_start"], second["at_start"]) == ("anonymous", "active")


def test_a_session_in_a_page_of_marimo(
    browser: Browser, api: ServerProcess, pages: Path, wheels: list[Path]
) -> None:
    """Python runs in a worker, whose address is that of its script."""
    if not (MARIMO / ".ready").exists():
        pytest.skip("marimo is not installed: `make build/marimo/.ready` says why.")
    shutil.copytree(MARIMO, pages / "app" / "marimo")
    pyodide = pages / "app" / "marimo" / "pyodide"
    for wheel in wheels:
        shutil.copy(wheel, pyodide)
    add_to_lock(pyodide, needs="marimo-base")
    with browser.new_context(base_url=api.url) as context:
        first, second = (_notebook(context) for _ in range(2))
    verify(first, store="IndexedDBStore", lock="SharedLock")
    verify(second, store="IndexedDBStore", lock="SharedLock")
    assert (first["at_start"], second["at_start"]) == ("anonymous", "active")


def _notebook(context: BrowserContext) -> dict[str, Any]:
    """Open the notebook's page; return what its cell shows."""
    page = context.new_page()
    page.goto("/app/marimo/index.html")
    shown = page.get_by_text('{"at_start"').or_(page.get_by_text('{"failed"')).first
    shown.wait_for(timeout=SECONDS * 1000)
    result: dict[str, Any] = json.loads(shown.inner_text())
    page.close()
    return result
