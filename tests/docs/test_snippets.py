"""Every snippet of the documentation runs, or is used, as it stands there.

The tutorial and the Python of pages are run in a browser: tests/e2e/test_tutorial.py and
tests/e2e/test_documentation.py.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware

from build_wheels import build
from tests.docs.pages import (
    API,
    DOCS,
    ERROR_TYPES,
    ROOT,
    Snippet,
    everything,
    name,
    pages,
    snippets,
)
from tests.e2e.backend import Backend
from unexpired import Client, Options
from unexpired_server.http import starlette_backend
from unexpired_server.http.exception_handlers import failure_handlers

USER, PASSWORD = "ada", "correct horse"
DATABASE = "postgresql+asyncpg://app:secret@db.example/unexpired"
ANYWHERE = "py3-none-any.whl"
FURTHER_KINDS = {
    "literalinclude",
    "eval-rst",
    "toctree",
    "mermaid",
    "settings-list",
    "calls-table",
    "codes-table",
    "commands-table",
}
SERVES = re.compile(r"server serve|http\.server")
POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')

WORKER = "".join(
    file.read_text()
    for file in (
        ROOT / "app" / "unexpired" / "browser" / "worker.py",
        *(ROOT / "examples" / "worker" / "app").glob("*.py"),
    )
)

Namespace = dict[str, Any]


def parametrized(kind: str) -> pytest.MarkDecorator:
    """Run a test once for each snippet of a kind."""
    found = [one for page in pages() for one in snippets(page, kind)]
    return pytest.mark.parametrize(
        "snippet", found, ids=[f"{name(one.page)}:{one.line}" for one in found]
    )


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that knows the reader's user, and signs for others to verify."""
    backend = Backend(tmp_path_factory.mktemp("api"), {"algorithm": "EdDSA"})
    backend.start()
    backend.run("user", "passwd", USER, stdin=PASSWORD)
    yield backend.url
    backend.stop()


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels that `make wheel` builds."""
    target = tmp_path_factory.mktemp("wheels")
    build(target)
    return target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, which is a home as well."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    return tmp_path


# -- All of them -----------------------------------------------------------------------------------


def test_no_snippet_is_of_a_kind_that_nothing_runs() -> None:
    """Whatever stands in a fence is run by a test here, or is the site's own."""
    found = {kind for page in everything() for kind in kinds(page)}
    assert found - {*ERROR_TYPES, *FURTHER_KINDS} == set()


def kinds(page: Path) -> Iterator[str]:
    """Yield the kind of each block of code on a page; of one that has none, an empty word."""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in {"fence", "code_block"}:
            yield token.info.removeprefix("{code-block} ").partition("}")[0].strip("{ ")


# -- Python ----------------------------------------------------------------------------------------


def test_nobody_is_signed_in_for_the_script(api: str, folder: Path) -> None:
    """The script signs in where it must, and keeps its session in a file; so do its friends."""
    done = run("how-to/desktop-and-adapters.md", api)
    assert done["response"].status_code == 200
    assert done["notes"] == {"notes": []}
    assert done["text"] == b'{"notes":[]}'
    assert list(folder.glob("unexpired/*.json"))


@pytest.mark.usefixtures("folder")
def test_another_service_verifies_by_the_public_keys(api: str) -> None:
    """The verifier tells whose a token is, and the code of what is none."""
    done = run("how-to/several-nodes.md", api)
    reply = httpx.post(f"{api}/api/login", json={"username": USER, "password": PASSWORD}).json()
    ask = done["who_is_asking"]
    assert asyncio.run(ask(reply["accessToken"])) == reply["user"]["id"]
    assert asyncio.run(ask("no token")) == "INVALID_TOKEN"
    assert asyncio.run(answer(done["app"], "/mine")) == {"401": "NO_TOKEN"}


async def answer(app: Starlette, path: str) -> dict[str, str]:
    """Return the status and the code with which an application answers."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        reply = await http.get(path)
    return {str(reply.status_code): reply.json()["code"]}


def test_the_tests_of_the_page_about_tests_pass() -> None:
    """Each of the tests that a reader may copy is run."""
    done = run("how-to/testing.md", API)
    tests = [one for title, one in done.items() if title.startswith("test_")]
    assert len(tests) == 3
    for one in tests:
        one()


@pytest.mark.usefixtures("folder")
def test_code_in_docstrings_makes_what_it_says(readme: Namespace) -> None:
    """The reference shows one block of a docstring's code; it makes an application with routes."""
    sources = [*(ROOT / "server").rglob("*.py"), *(ROOT / "app").rglob("*.py")]
    assert [one for one in sources if "::\n\n" in one.read_text()] == [
        ROOT / "server/unexpired_server/http/starlette_backend.py"
    ]
    text = inspect.cleandoc(starlette_backend.__doc__ or "").partition("::\n\n")[2]
    made = {**readme, "failure_handlers": failure_handlers, "yours": []}
    exec(inspect.cleandoc(text), made)  # noqa: S102 - That is the test.
    assert "/api/login" in {route.path for route in made["app"].routes}


@pytest.mark.usefixtures("folder")
def test_the_readmes_server_serves_what_it_is_given(readme: Namespace) -> None:
    """An application made of the README's lines has our routes; its other lines can be run, too."""
    assert "/api/login" in {route.path for route in readme["app"].routes}
    assert inspect.iscoroutinefunction(readme["get"])


@pytest.mark.usefixtures("folder")
def test_the_readmes_libraries_call_within_the_session(readme: Namespace, api: str) -> None:
    """requests, httpx and whatever calls urlopen get what the person who is signed in gets."""
    client = Client.on_desktop(base_url=api)
    client.sign_in(USER, PASSWORD)
    assert readme["by_requests"](client) == readme["by_httpx"](client) == {"notes": []}
    with pytest.raises(urllib.error.HTTPError, match="404"):  # There is no such table here.
        readme["by_pandas"](client)
    assert client.user is not None


def test_what_is_said_of_workers_is_what_the_example_does() -> None:
    """No one place runs the Python of two worlds; each call in it stands where it is tested."""
    told = [one for page in pages() for one in snippets(page, "python") if one.is_for_workers]
    assert told
    lines = "".join(one.text for one in told).splitlines()
    for line in (one for one in lines if not one.startswith("from ")):
        assert line.partition("  #")[0].strip() in WORKER


@pytest.fixture
def readme(api: str) -> Iterator[Namespace]:
    """What the README's Python has made, given what it does not say; pandas is a stand-in."""
    yield run(
        "../README.md",
        api,
        API=api,
        AuthenticationMiddleware=AuthenticationMiddleware,
        Middleware=Middleware,
        Starlette=Starlette,
        httpx=httpx,
        my_routes=[],
        pandas=SimpleNamespace(read_csv=urllib.request.urlopen),
        requests=requests,
        urllib=urllib,
    )
    urllib.request.install_opener(urllib.request.build_opener())


def test_all_python_is_run() -> None:
    """Each page with Python for programs has a test here that says what must come of it."""
    run_here = {
        name(page) for page in pages() for one in snippets(page, "python") if one.is_for_programs
    }
    how_to = ("desktop-and-adapters", "several-nodes", "testing")
    assert run_here == {"README.md", *(f"docs/how-to/{one}.md" for one in how_to)}


def run(page: str, api: str, **given: Any) -> Namespace:
    """Run a page's Python for programs, in order; return the names that it has made."""
    namespace: Namespace = {"__name__": "snippet", **given}
    for one in snippets((DOCS / page).resolve(), "python"):
        if one.is_for_programs:
            text = "\n" * one.line + one.text.replace(API, api)
            exec(compile(text, one.page, "exec"), namespace)  # noqa: S102 - That is the test.
    return namespace


# -- Shell -----------------------------------------------------------------------------------------


@parametrized("sh")
def test_shell_does_what_it_says(snippet: Snippet, folder: Path, wheels: Path) -> None:
    """Every line ends well; a server that is started says where it listens."""
    shell = Shell(folder, wheels)
    if SERVES.search(snippet.text):
        shell.announces(snippet.text, "http://")
    else:
        shell.runs(snippet.text)


class Shell:
    """Runs commands as a reader would, in a folder, without the network.

    `make` only says what it would do, and `pip` what it would install; a database is a file.

    Args:
        folder: Where to work.
        wheels: Where pip finds what we have built.
    """

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._folder = folder
        (folder / "dist").mkdir()
        shutil.copytree(wheels, folder / "build" / "wheels")
        stand_in = folder / "bin" / "make"
        stand_in.parent.mkdir()
        stand_in.write_text(f'#!/bin/sh\nexec {shutil.which("make")} -n -C {ROOT} "$@"\n')
        stand_in.chmod(0o755)
        self._environment = os.environ | {
            "PATH": os.pathsep.join((str(stand_in.parent), _beside_python(), os.environ["PATH"])),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "UNEXPIRED_PORT": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_DRY_RUN": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_IGNORE_INSTALLED": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
        }

    def runs(self, text: str) -> None:
        """Run it to its end, which must be a good one."""
        with self._started(text) as process:
            said, _ = process.communicate(f"{PASSWORD}\n")
        assert process.returncode == 0, said

    def announces(self, text: str, words: str) -> None:
        """Run it until it has said these words, then stop it."""
        with self._started(text) as process:
            said = [""]
            for line in process.stdout or ():
                said.append(line)
                if words in line:
                    break
            os.killpg(process.pid, signal.SIGTERM)
        assert words in said[-1], "".join(said)

    def _started(self, text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - Our own words.
            ["bash", "-euc", _at_home(text)],  # noqa: S607 - The reader's own.
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def _beside_python() -> str:
    return str(Path(sys.executable).parent)


def _at_home(text: str) -> str:
    """Put what is on this machine in the place of what is on the reader's."""
    file = "sqlite+aiosqlite:///data/unexpired.sqlite3"
    return text.replace(DATABASE, file).replace("http.server", "http.server 0")


# -- TOML and HTML ---------------------------------------------------------------------------------


@parametrized("toml")
def test_settings_are_ones_that_there_are(snippet: Snippet, wheels: Path) -> None:
    """A table of options makes options, and each file that is loaded can be had."""
    table = tomllib.loads(snippet.text)
    assert set(table) <= {"files", "unexpired"}
    Options(**table.get("unexpired", {}))
    there_are = {*(file.name for file in wheels.iterdir()), f"pyjwt-{version('pyjwt')}-{ANYWHERE}"}
    assert {Path(file).name for file in table.get("files", {})} <= there_are


@parametrized("html")
def test_markup_is_whole_and_a_policy_no_looser_than_our_own(snippet: Snippet) -> None:
    """What is opened is closed, and what a policy allows our own page's allows."""
    Balance().check(snippet.text)
    (ours,) = POLICY.findall((ROOT / "index.html").read_text())
    for policy in POLICY.findall(snippet.text):
        assert _directives(policy) <= _directives(ours)


class Balance(HTMLParser):
    """Checks that elements are closed in the order in which they were opened."""

    VOID = {"meta", "link", "input", "br", "img"}  # noqa: RUF012 - Nobody changes it.

    def check(self, text: str) -> None:
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - Its signature.
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _directives(policy: str) -> set[str]:
    return {" ".join(one.split()) for one in policy.split(";")}
