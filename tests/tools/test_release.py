"""What is published serves those who have nothing else: from sdists to the READMEs' code."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from build_wheels import KIT_PACKAGE, PACKAGE, ROOT, build_sdists, run_build, unpack
from check_distributions import PACKAGES
from tests.docs.pages import snippets
from tests.support.server_process import clean_environment
from tests.tools.distributions import VERSION, WHEELS, run_installed

SHORT = {
    "unexpired": ["tests/library/test_claims.py"],
    "unexpired_kit": ["tests/kit/test_site.py"],
    "unexpired_server": ["tests/server/test_rules.py"],
}
PREAMBLE = """
import json, sys, urllib.request
import httpx, requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
API, my_routes = "https://api.example.com", []
"""
"""What the README does not say, for its readers have it already."""


@pytest.fixture(scope="module")
def sdists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all sdists."""
    folder = tmp_path_factory.mktemp("sdists")
    assert [one.name for one in build_sdists(folder)] == [
        f"{package}-{VERSION}.tar.gz" for package in PACKAGES
    ]
    return folder


@pytest.fixture
def folder_with_modules(tmp_path: Path) -> Path:
    """Return a folder whose own modules are called as ours once were; none may be imported."""
    for name in ("app", "server", "views", "tests"):
        (tmp_path / f"{name}.py").write_text(f"raise AssertionError('{name}.py was imported')\n")
    return tmp_path


@pytest.mark.parametrize("package", PACKAGES)
def test_an_sdist_builds_the_same_wheel_and_tests_itself(
    sdists: Path, wheels: Path, tmp_path: Path, package: str
) -> None:
    """Nothing that the wheel or the tests need is left behind in the repository."""
    project = unpack(sdists / f"{package}-{VERSION}.tar.gz", tmp_path)
    run_build(project, tmp_path, "--wheel")
    wheel = WHEELS[package.replace("_", "-")]
    assert (tmp_path / wheel).read_bytes() == (wheels / wheel).read_bytes()
    done = subprocess.run(  # noqa: S603 - Our own words.
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SHORT[package]],
        cwd=project,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_sdists_hold_the_tests_of_their_package_and_no_others(sdists: Path) -> None:
    """The page and the benchmarks stay in the repository.

    The one page of documentation is there for its snippets, which a test of the library runs.
    """
    code = {
        "unexpired": {"app", "docs"},
        KIT_PACKAGE: {KIT_PACKAGE, "NOTICE.md"},
        PACKAGE: {"server", PACKAGE, "index.html"},
    }
    for package, folder in zip(PACKAGES, ("library", "kit", "server"), strict=True):
        with tarfile.open(sdists / f"{package}-{VERSION}.tar.gz") as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        ours = (ROOT / "tests" / folder).glob("*.py")
        assert {one.relative_to(ROOT).as_posix() for one in ours} <= names
        tops = {name.partition("/")[0] for name in names} - {""}
        texts = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md"}
        assert tops == {*code[package], *texts, "tests", "pyproject.toml", "pyproject.toml.orig"}
        assert {name.split("/")[1] for name in names if name.startswith("tests/")} <= {
            folder,
            "support",
        }


def test_the_servers_readme_makes_an_application_that_signs_people_in(
    installed: Path, folder_with_modules: Path
) -> None:
    """Its code runs from the wheels, beside modules that are called as ours might be."""
    (code,) = (one.text for one in snippets(ROOT / "server" / "README.md", "python"))
    (folder_with_modules / "readme.py").write_text(code)
    program = """
import asyncio, httpx, readme
async def ask():
    transport = httpx.ASGITransport(readme.app)
    async with readme.app.router.lifespan_context(readme.app):
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            print((await http.get("/orders")).status_code)
            credentials = {"username": "ada", "password": "correct horse"}
            token = (await http.post("/api/login", json=credentials)).json()["accessToken"]
            bearer = {"Authorization": f"Bearer {token}"}
            print((await http.get("/orders", headers=bearer)).json()["orders"])
asyncio.run(ask())
"""
    command = ("unexpired-server", "user", "add", "ada")
    run_installed(installed, folder_with_modules, *command, stdin="correct horse\n")
    said = run_installed(installed, folder_with_modules, "-c", program)
    assert said.splitlines() == ["401", "[]"]


def test_the_readmes_python_for_programs_runs_from_the_wheels(
    installed: Path, folder_with_modules: Path
) -> None:
    """What the root README shows of Python outside of pages needs the wheels and no clone."""
    found = [one for one in snippets(ROOT / "README.md", "python") if one.is_for_programs]
    assert found
    for one in found:
        program = PREAMBLE + one.text
        run_installed(installed, folder_with_modules, "-c", program)
