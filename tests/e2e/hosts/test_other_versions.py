"""``in_browser()`` in older versions of Pyodide and in other notebooks; `make hosts` runs these."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.hosts.conftest import tell, verify
from tests.e2e.hosts.pyodide_folder import copy_pyodide
from tests.support.server_process import ServerProcess

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
