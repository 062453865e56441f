"""The distributions that `make wheel` builds: what is in them, and that they work alone."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from build_wheels import ROOT, build
from tests.server.process import PASSWORD, Process, clean_environment

LIBRARY = "unexpired-0.1.0-py3-none-any.whl"
SERVER = "unexpired_server-0.1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    assert [wheel.name for wheel in build(folder)] == [LIBRARY, SERVER]
    return folder


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both wheels, in a folder that holds nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    options = ("--no-index", "--no-deps", "--target", str(folder))
    both = (str(wheels / LIBRARY), str(wheels / SERVER))
    subprocess.run([*pip, *options, *both], check=True)  # noqa: S603 - Our own words.
    return folder


def run(installed: Path, folder: Path, *words: str, stdin: str = "") -> str:
    """Run Python as somebody would who has the wheels, and not this project."""
    done = subprocess.run(  # noqa: S603 - Our own words.
        [sys.executable, *words],
        cwd=folder,
        env={**clean_environment(), "PYTHONPATH": str(installed)},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    needs = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    return {need.name: need for need in needs if need.marker is None}


def test_the_librarys_wheel_holds_the_library_and_nothing_else(wheels: Path) -> None:
    """Every module and the mark of its types; no server, no page; PyJWT is all it needs."""
    assert files(wheels / LIBRARY) == sources(ROOT / "app" / "unexpired")
    assert "unexpired/py.typed" in files(wheels / LIBRARY)
    assert requirements(wheels / LIBRARY).keys() == {"pyjwt"}


def test_the_servers_wheel_holds_the_server_and_nothing_else(wheels: Path) -> None:
    """Its migrations are among it, and the library is not."""
    assert files(wheels / SERVER) == sources(ROOT / "server" / "unexpired_server")
    assert "unexpired_server/storage/migrations/versions/r0001_first_tables.py" in files(
        wheels / SERVER
    )
    assert {"pyjwt", "starlette", "uvicorn"} <= requirements(wheels / SERVER).keys()


def test_the_same_tree_gives_the_same_bytes(wheels: Path, tmp_path: Path) -> None:
    """Neither the place nor the time of a build shows in it."""
    again = {wheel.name: wheel.read_bytes() for wheel in build(tmp_path)}
    assert again == {name: (wheels / name).read_bytes() for name in (LIBRARY, SERVER)}
    for name in again:
        with zipfile.ZipFile(wheels / name) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_the_installed_library_is_imported_without_the_project(
    installed: Path, tmp_path: Path
) -> None:
    """`import unexpired` finds the wheel's own files, and they are whole."""
    program = "import unexpired; print(unexpired.__file__, *unexpired.__all__)"
    place, *names = run(installed, tmp_path, "-c", program).split()
    assert Path(place) == installed / "unexpired" / "__init__.py"
    assert {"AsyncClient", "Client"} <= set(names)


def test_the_installed_server_serves_without_the_project(installed: Path, tmp_path: Path) -> None:
    """It makes its tables, adds people and signs them in; there is no page."""
    assert "--page-dir" in run(installed, tmp_path, "-m", "unexpired_server", "serve", "--help")
    run(installed, tmp_path, "-m", "unexpired_server", "user", "add", "ada", stdin=f"{PASSWORD}\n")
    process = Process(
        tmp_path, "serve", "--port", "0", module="unexpired_server", PYTHONPATH=str(installed)
    )
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
    stranger = installed / "app" / "settings.py"
    stranger.parent.mkdir()
    stranger.write_text("PASSWORD = 'somebody elses'")
    process = Process(
        tmp_path, "serve", "--port", "0", module="unexpired_server", PYTHONPATH=str(installed)
    )
    try:
        assert process.ask("GET", "/app/settings.py", None)[0] == 404
    finally:
        process.stop()
