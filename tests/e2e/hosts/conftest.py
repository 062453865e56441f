"""Plain Pyodide with the library's wheel, served beside the API: no PyScript, no page of ours."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from build_wheels import build_library
from tests.e2e.conftest import ServerFactory
from tests.e2e.hosts.build_jupyterlite import add_to_lock
from tests.e2e.hosts.pyodide_folder import PYODIDE, copy_pyodide
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

SECONDS = 120
"""Within which a host is done, on a busy machine."""

PAGES = Path(__file__).parent / "pages"
JUPYTERLITE = ROOT / "build" / "jupyterlite"


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What a host loads: the library's wheel, and pyodide-http for synchronous requests."""
    folder = tmp_path_factory.mktemp("wheels")
    build_library(folder)
    (theirs,) = (ROOT / "vendor" / "pyodide").glob("pyodide_http-*.whl")
    return [*folder.glob("*.whl"), theirs]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory, wheels: list[Path]) -> Path:
    """A folder with the hosts' pages, Pyodide as npm has it, and the wheels."""
    folder = tmp_path_factory.mktemp("hosts")
    app = folder / "app"  # What the server serves beside index.html.
    shutil.copytree(PAGES, app)
    shutil.move(app / "index.html", folder)
    copy_pyodide(PYODIDE, app / "pyodide")
    for wheel in wheels:
        shutil.copy(wheel, app)
    (app / "wheels.json").write_text(json.dumps([wheel.name for wheel in wheels]))
    return folder


@pytest.fixture(scope="session")
def api(serve: ServerFactory, pages: Path) -> ServerProcess:
    """The server of the API and of the pages; access tokens live 2 seconds."""
    return serve(page_dir=str(pages), access_ttl=2, leeway=0)


@pytest.fixture(scope="session")
def lite(api: ServerProcess, pages: Path, wheels: list[Path]) -> str:
    """The address of a JupyterLite that has the library, on the origin of the API."""
    if not (JUPYTERLITE / ".ready").exists():
        pytest.skip("JupyterLite is not installed: `make notebooks` says why.")
    folder = pages / "app" / "lite"
    shutil.copytree(JUPYTERLITE, folder)
    pyodide = folder / "static" / "pyodide"
    for wheel in wheels:
        shutil.copy(wheel, pyodide)
    add_to_lock(pyodide)
    return f"{api.url}/app/lite/repl/index.html"


def tell(contexts: dict[str, BrowserContext], story: str = "story") -> dict[str, Any]:
    """Open each host's page, and return what each shows when it is done."""
    pages: dict[str, Page] = {}
    for host, context in contexts.items():
        pages[host] = context.new_page()
        pages[host].goto(f"/?host={host}&story={story}")
    shown: dict[str, Any] = {}
    for host, page in pages.items():
        expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=SECONDS * 1000)
        text = page.locator("body").inner_text()
        shown[host] = json.loads(text) if text.startswith("{") else {"failed": text}
        page.close()
    return shown


def verify(
    result: dict[str, Any], *, store: str, lock: str, notes: list[str] | None = None
) -> None:
    """Check what a host has told.

    No call failed across two expiries, the session is bound to a key, and nothing was logged.
    """
    assert "failed" not in result, result["failed"]
    assert result["statuses"] == [200]
    assert result["refreshed"] >= 2
    assert result["notes"] == (notes or [])
    assert (result["store"], result["lock"], result["bound"]) == (store, lock, True)
