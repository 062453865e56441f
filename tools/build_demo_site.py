"""Build the page with the demo's server inside it, for any static host.

The page is as ``make site`` builds it. Added are a Service Worker beside it, and a folder of assets
for the worker in which the server runs. That worker's Python is the page's own runtime, and starts
from a snapshot of its own.
"""

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import unexpired
import unexpired_server
from unexpired_kit import node
from unexpired_kit.compression import compress_again, compress_all
from unexpired_kit.site import ASSETS, BUILT_SETTINGS, SNAPSHOT, build, version_of
from unexpired_server import Database

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "vendor"
IN_PAGE = ROOT / "server" / "in_page"
WHEELS = Path(__file__).with_name("demo-wheels.lock")
LOADER = "vendor/load_pyodide.mjs"

# The wheels that this Pyodide can load (PEP 783).
PLATFORM = ("--platform", "pyemscripten_2026_0_wasm32", "--python-version", "3.14")
ABI = ("--implementation", "cp", "--abi", "cp314", "--only-binary", ":all:")
# The one that is not pure Python. It cannot be imported from an archive, nor be in a snapshot.
CORE = "pydantic_core"
OURS = (Path(unexpired.__file__).parent, Path(unexpired_server.__file__).parent)
DEMO = ("app.py", "notes.py", "notes_routes.py")
NEEDLESS = shutil.ignore_patterns(
    *("__pycache__", "py.typed", "*.pyi", "*.pyx", "*.pxd", "*.so", "*.dist-info"),
    *("testing", "mysql", "mssql", "oracle", "orm", "mypy", "v1", "declarative"),
    *("callback", "desktop"),
)
# They read no docstring of their own, and work without assertions.
BARE = ("anyio", "idna", "limits", "packaging", "sqlalchemy", "structlog", "unexpired", "wrapt")
# It reads its own source, to import its parts only when they are used.
WITH_SOURCE = "anyio/__init__.py"
# What does not import pydantic_core, and takes long to import.
PRELOADED = (
    *("sqlalchemy.dialects.sqlite.pysqlite", "sqlalchemy.dialects.postgresql", "sqlite3"),
    *("sqlalchemy.ext.compiler", "jwt", "limits.aio.strategies", "structlog.contextvars", "anyio"),
    *("starlette.applications", "starlette.staticfiles", "starlette.middleware.cors"),
    "starlette.middleware.gzip",
    *("precis_i18n", "unexpired.secret_strength", "unexpired.sign_in_redirect"),
    *("annotated_types", "dotenv.main", "typing_inspection.introspection", "argparse"),
    *("concurrent.futures.thread", "fractions", "html.parser", "ipaddress", "wsgiref.headers"),
    "zoneinfo",
)

OWN_POLICY = "trusted-types default"
FIRST_SCRIPT = re.compile(r'<script src="[^"]*/app/boot\.js">')


def main() -> None:
    """Build the folder that the command line names; replace an older one once it is complete."""
    target = Path(sys.argv[1])
    staging = target.with_name(f".{target.name}-staged")
    build(ROOT, staging, "")
    version = _add_server(staging)
    _connect(staging, version)
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def _add_server(site: Path) -> str:
    """Add the worker's folder to a built page; return its name."""
    folder = site / ASSETS / "server"
    pyodide = folder / Path(SNAPSHOT).parent
    pyodide.mkdir(parents=True)
    _make_archive(folder, pyodide)
    asyncio.run(_make_database(folder / "empty.sqlite3"))
    page = _folder_of_page(site)
    for name in ("indexed_db.mjs", "load_pyodide.mjs", "memory_pages.mjs"):
        shutil.copy(page / "vendor" / name, folder / "vendor")
    for script in IN_PAGE.glob("*.*js"):
        shutil.copy(script, folder)
    (folder / "service_worker.js").rename(site / "service_worker.js")
    ready = folder / "ready.mjs"
    ready.write_text(ready.read_text().replace(f"./{LOADER}", f"../{page.name}/{LOADER}"))
    version = version_of(folder)
    settings = json.loads((page / BUILT_SETTINGS).read_text())
    settings["interpreter"] = f"./{ASSETS}/{version}/{ready.name}"
    (folder / BUILT_SETTINGS).write_text(json.dumps(settings, indent=1))
    folder = folder.rename(folder.with_name(version))
    compress_all(folder)
    compress_again(folder / SNAPSHOT)
    return version


def _folder_of_page(site: Path) -> Path:
    (script,) = (site / ASSETS).glob("*/app/boot.js")
    return script.parents[1]


def _connect(site: Path, version: str) -> None:
    """Let the page load what is in the worker's folder."""
    index = site / "index.html"
    page = index.read_text("utf-8")
    script = f'<script src="{ASSETS}/{version}/page.js"></script>\n    '
    page, found = FIRST_SCRIPT.subn(lambda boot: script + boot[0], page)
    settings = f"{ASSETS}/{_folder_of_page(site).name}/{BUILT_SETTINGS}"
    if found != 1 or settings not in page or OWN_POLICY not in page:
        raise SystemExit("index.html is not as this script expects it.")
    page = page.replace(settings, f"{ASSETS}/{version}/{BUILT_SETTINGS}")
    page = page.replace(OWN_POLICY, f"{OWN_POLICY} in-page-server")
    index.write_text(page, "utf-8")


def _make_archive(folder: Path, pyodide: Path) -> None:
    """Pack what the server imports, and make the snapshot."""
    modules = folder / "modules"
    wheels = folder / "wheels"
    _download(wheels)
    (core,) = wheels.glob(f"{CORE}-*.whl")
    core.rename(folder / f"{CORE}.whl")
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(wheels / "unpacked")
    shutil.copytree(wheels / "unpacked", modules, ignore=NEEDLESS)
    for package in OURS:
        shutil.copytree(package, modules / package.name, ignore=NEEDLESS)
    for file in (*(ROOT / "server" / name for name in DEMO), *IN_PAGE.glob("*.py")):
        place = modules / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    runtime = [path for path in (VENDOR / "pyodide").iterdir() if path.suffix != ".whl"]
    for file in runtime:
        shutil.copy(file, pyodide)
    app = pyodide / "app.zip"
    node.pack_modules(pyodide, modules, app, *BARE)
    with zipfile.ZipFile(app, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(WITH_SOURCE), (modules / WITH_SOURCE).read_bytes())
    node.make_snapshot(pyodide, *PRELOADED)
    for file in runtime:
        if file.name not in {"snapshot.gz", "archives.json"}:
            (pyodide / file.name).unlink()
    shutil.rmtree(modules)
    shutil.rmtree(wheels)


def _download(target: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = (*PLATFORM, *ABI, "--require-hashes", "--no-deps", "--dest", str(target))
    subprocess.run([*pip, *options, "--requirement", str(WHEELS)], check=True)  # noqa: S603 - Fixed words.


async def _make_database(path: Path) -> None:
    """Make a database with this version's tables, by its migrations."""
    database = Database(f"sqlite:///{path}")
    await database.migrate()
    await database.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    main()
