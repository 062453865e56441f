"""The distributions that `make wheel` builds: their content, and that they need nothing else."""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from html.parser import HTMLParser
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from build_wheels import (
    ABSOLUTE,
    KIT,
    KIT_PACKAGE,
    PACKAGE,
    ROOT,
    SERVER,
    VENDOR,
    address,
    build,
    make_links_absolute,
)
from tests.support.server_process import PASSWORD, ServerProcess
from tests.tools.distributions import (
    KIT_WHEEL,
    LIBRARY_WHEEL,
    PROJECTS,
    SERVER_WHEEL,
    VERSION,
    WHEELS,
    described,
    metadata,
    project_table,
    run_installed,
)
from unexpired_kit.new import TEMPLATE

PACKAGES = {
    "unexpired": ROOT / "app" / "unexpired",
    "unexpired-kit": KIT / KIT_PACKAGE,
    "unexpired-server": SERVER / PACKAGE,
}
IN_PAGES = {"js", "pyodide", "pyodide_http", "pyodide_js", "pyscript"}
"""What only a page has."""
OF_THE_HOST = {"fastapi"}
"""Imported only where an application of it was given to us."""
MADE_BY_BUILDS = {"archives.json"}
COMPRESSED = {".br", ".gz"}
LARGEST_KIT = 7_000_000
"""Bytes; the browser's runtime is nearly all of them."""
PYSCRIPT_PAGE = """\
<meta charset="utf-8">
<script type="module" src="https://pyscript.net/releases/2025.3.1/core.js"></script>
<script type="py" src="main.py" config="pyscript.toml"></script>
"""
EACH = pytest.mark.parametrize("name", PROJECTS)


def files(wheel: Path) -> set[str]:
    """What a wheel holds besides its own description."""
    with zipfile.ZipFile(wheel) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    return {name for name in names if ".dist-info/" not in name}


def sources(folder: Path) -> set[str]:
    """What the project has of a package."""
    found = (path for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in kept}


def requirements(wheel: Path) -> dict[str, Requirement]:
    """What a wheel needs, by name; its extras aside."""
    needs = [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]
    return {need.name: need for need in needs if need.marker is None}


def test_the_librarys_wheel_holds_the_library_and_nothing_else(wheels: Path) -> None:
    """Every module and the mark of its types; no server, no page; on CPython it needs nothing."""
    assert files(wheels / LIBRARY_WHEEL) == sources(ROOT / "app" / "unexpired")
    assert requirements(wheels / LIBRARY_WHEEL) == {}
    (first, *_) = metadata(wheels / LIBRARY_WHEEL).get_all("Requires-Dist", [])
    assert first == "pyodide-http>=0.2.2,<0.3 ; sys_platform == 'emscripten'"


def test_the_servers_wheel_holds_the_server_and_nothing_else(wheels: Path) -> None:
    """Its migrations are among it, and the library is not."""
    assert files(wheels / SERVER_WHEEL) == sources(ROOT / "server" / "unexpired_server")
    assert "unexpired_server/storage/migrations/versions/r0001_first_tables.py" in files(
        wheels / SERVER_WHEEL
    )
    assert {"pyjwt", "starlette", "uvicorn"} <= requirements(wheels / SERVER_WHEEL).keys()


def test_the_kits_wheel_holds_the_tools_and_the_browsers_runtime(wheels: Path) -> None:
    """What a clone has of both, but for what each build makes; and whose it is."""
    vendored = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    scripts = {path.name for path in (KIT / KIT_PACKAGE / "browser").iterdir()}
    runtime = {name for name in vendored - scripts if not name.startswith(".")}
    kept = {
        f"{KIT_PACKAGE}/vendor/{name}"
        for name in runtime
        if Path(name).name not in MADE_BY_BUILDS and Path(name).suffix not in COMPRESSED
    }
    assert files(wheels / KIT_WHEEL) == sources(KIT / KIT_PACKAGE) | kept
    assert {"unexpired", "click", "brotli"} <= requirements(wheels / KIT_WHEEL).keys()
    assert "| `pyodide/` | Pyodide | MPL-2.0 |" in described(
        wheels / KIT_WHEEL, "licenses/NOTICE.md"
    )
    assert (wheels / KIT_WHEEL).stat().st_size < LARGEST_KIT


@EACH
def test_a_version_stands_in_one_place_and_its_copies_agree(wheels: Path, name: str) -> None:
    """The project file, `__version__` and the wheel's metadata name the same version."""
    module = import_module(name.replace("-", "_"))
    wheel = metadata(wheels / WHEELS[name])
    assert project_table(name)["version"] == module.__version__ == wheel["Version"] == VERSION


@EACH
def test_what_is_imported_is_required(name: str) -> None:
    """A package that is there only because another one needs it may be gone tomorrow."""
    table = project_table(name)
    extras = table.get("optional-dependencies", {}).values()
    lines = [*table["dependencies"], *(line for extra in extras for line in extra)]
    required = {canonicalize_name(Requirement(line).name) for line in lines}
    if any(line.startswith("PyJWT[crypto]") for line in lines):
        required.add(canonicalize_name("cryptography"))  # That is what the extra is for.
    owners = {**packages_distributions(), "unexpired": ["unexpired"]}
    known = {*sys.stdlib_module_names, *IN_PAGES, *OF_THE_HOST, PACKAGES[name].name}
    foreign = imports(PACKAGES[name]) - known
    owned = {one: {canonicalize_name(owner) for owner in owners[one]} for one in foreign}
    assert {one for one, names in owned.items() if not names & required} == set()


def imports(package: Path) -> set[str]:
    """Return the top-level names of all modules that a package imports."""
    own = (file for file in package.rglob("*.py") if TEMPLATE not in file.parents)
    trees = (ast.parse(file.read_text("utf-8")) for file in own)
    nodes = [node for tree in trees for node in ast.walk(tree)]
    whole = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    parts = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {one.partition(".")[0] for one in whole | parts if one}


@EACH
def test_the_types_are_for_everyone_to_check_against(wheels: Path, name: str) -> None:
    """Type checkers read a package's annotations only where py.typed is (PEP 561)."""
    assert f"{name.replace('-', '_')}/py.typed" in files(wheels / WHEELS[name])
    assert "Typing :: Typed" in metadata(wheels / WHEELS[name]).get_all("Classifier", [])


@EACH
def test_the_readme_works_without_the_files_beside_it(wheels: Path, name: str) -> None:
    """On the package index every link and picture is absolute, or within the page."""
    targets = links(str(metadata(wheels / WHEELS[name]).get_payload()))
    assert [one for one in targets if not one.startswith(("https://", "#"))] == []
    assert any(f"/v{VERSION}/" in one for one in targets)


@EACH
def test_the_readme_links_only_to_what_there_is(name: str) -> None:
    """A link that is made absolute leads to a file of the repository."""
    home = PROJECTS[name]
    relative = [one for one in links((home / "README.md").read_text()) if not ABSOLUTE.match(one)]
    assert [one for one in relative if not (home / one.partition("#")[0]).exists()] == []


def test_links_of_all_kinds_are_made_absolute(tmp_path: Path) -> None:
    """Markdown's and HTML's; code, absolute links and fragments stay as they are."""
    readme = tmp_path / "README.md"
    code = '```html\n<img src="a.png">\n```\n'
    kept = f"[a](https://a.example) [b](#b)\n{code}"
    readme.write_text(
        f'{kept}[c](docs/index.md#c) [![d](docs/d.svg)][e]\n<a href="docs">\n\n[e]: LICENSE\n'
    )
    make_links_absolute(readme, ROOT)
    place = f"{project_table('unexpired')['urls']['Source']}/{{}}/v{VERSION}"
    blob, raw, tree = (place.format(kind) for kind in ("blob", "raw", "tree"))
    assert readme.read_text() == (
        f"{kept}[c]({blob}/docs/index.md#c) [![d]({raw}/docs/d.svg)][e]\n"
        f'<a href="{tree}/docs">\n\n[e]: {blob}/LICENSE\n'
    )
    assert address("../LICENSE", SERVER) == f"{blob}/LICENSE"


@pytest.mark.parametrize("home", [SERVER, KIT])
def test_all_distributions_carry_the_same_licence(home: Path) -> None:
    """A project file can name only a licence beside it."""
    assert (home / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_servers_command_is_called_unexpired_server(
    wheels: Path, installed: Path, tmp_path: Path
) -> None:
    """The wheel has one console script, and it runs."""
    script = f"[console_scripts]\nunexpired-server = {PACKAGE}.cli:main"
    assert described(wheels / SERVER_WHEEL, "entry_points.txt").strip() == script
    assert "serve" in run_installed(installed, tmp_path, "unexpired-server", "--help")


def test_the_kits_command_is_called_unexpired(
    wheels: Path, installed: Path, tmp_path: Path
) -> None:
    """Installed, it builds a page that has nothing but itself, with the runtime of the wheel."""
    script = f"[console_scripts]\nunexpired = {KIT_PACKAGE}.cli:main"
    assert described(wheels / KIT_WHEEL, "entry_points.txt").strip() == script
    (tmp_path / "index.html").write_text(PYSCRIPT_PAGE)
    (tmp_path / "main.py").write_text("from unexpired import AsyncClient")
    (tmp_path / "pyscript.toml").write_text('packages = ["unexpired"]')
    assert "dist/ holds the page" in run_installed(installed, tmp_path, "unexpired", "build")
    built = {
        path.relative_to(folder).as_posix(): path
        for folder in (tmp_path / "dist").glob("assets/*/vendor")
        for path in folder.rglob("*")
    }
    assert {"trusted_types.js", "pyscript/core.js", "pyodide/snapshot.gz"} <= built.keys()
    place, wasm = installed / KIT_PACKAGE / "vendor", "pyodide/pyodide.asm.wasm"
    assert built[wasm].read_bytes() == (place / wasm).read_bytes()
    archives = json.loads(built["pyodide/archives.json"].read_text())
    assert any(name.endswith("/app.zip") for name in archives)


def links(markdown: str) -> list[str]:
    """Return the targets of a document's links and pictures."""
    return [*Targets(MarkdownIt().enable("table").render(markdown)).found]


class Targets(HTMLParser):
    """Collects what the elements of a document refer to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - Its signature.
        self.found += [
            value for name, value in attrs if name in {"href", "src", "srcset"} and value
        ]


def test_the_same_tree_gives_the_same_bytes(wheels: Path, tmp_path: Path) -> None:
    """Neither the place nor the time of a build shows in it."""
    again = {wheel.name: wheel.read_bytes() for wheel in build(tmp_path)}
    assert again == {name: (wheels / name).read_bytes() for name in WHEELS.values()}
    for name in again:
        with zipfile.ZipFile(wheels / name) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_the_installed_library_is_imported_without_the_project(
    installed: Path, tmp_path: Path
) -> None:
    """`import unexpired` finds the wheel's own files, and they are whole."""
    program = "import unexpired; print(unexpired.__file__, *unexpired.__all__)"
    place, *names = run_installed(installed, tmp_path, "-c", program).split()
    assert Path(place) == installed / "unexpired" / "__init__.py"
    assert {"AsyncClient", "Client"} <= set(names)


def test_the_installed_server_serves_without_the_project(installed: Path, tmp_path: Path) -> None:
    """It makes its tables, adds people and signs them in; there is no page."""
    assert "--page-dir" in run_installed(
        installed, tmp_path, "-m", "unexpired_server", "serve", "--help"
    )
    run_installed(
        installed, tmp_path, "-m", "unexpired_server", "user", "add", "ada", stdin=f"{PASSWORD}\n"
    )
    process = ServerProcess(tmp_path, module="unexpired_server", PYTHONPATH=str(installed)).start()
    try:
        assert process.ask("GET", "/healthz", None) == (200, {"status": "ok"})
        tokens = process.sign_in("ada", PASSWORD)
        assert process.get("/api/me", tokens["accessToken"])[1]["username"] == "ada"
        status, answer = process.ask("GET", "/", None)
        assert (status, answer["code"]) == (404, "NOT_FOUND")
    finally:
        process.stop()


def test_an_installed_server_shows_nothing_of_the_packages_around_it(
    installed: Path, tmp_path: Path
) -> None:
    """Another package that happens to be called `app` or `vendor` is not taken for the page."""
    foreign = installed / "app" / "settings.py"
    foreign.parent.mkdir()
    foreign.write_text("PASSWORD = 'somebody elses'")
    process = ServerProcess(tmp_path, module="unexpired_server", PYTHONPATH=str(installed)).start()
    try:
        assert process.ask("GET", "/app/settings.py", None)[0] == 404
    finally:
        process.stop()
