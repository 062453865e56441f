"""Every snippet of the documentation runs, or is used, unchanged.

The tutorial and the Python for pages run in a browser: tests/e2e/test_tutorial.py and
tests/e2e/test_documentation.py.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import fastapi
import httpx
import pytest
from markdown_it import MarkdownIt
from starlette.applications import Starlette

from build_wheels import build
from tests.docs.guides import GUIDES
from tests.docs.pages import (
    API,
    DOCS,
    LANGUAGES,
    PROVIDER_PAGES,
    Snippet,
    everything,
    name,
    pages,
    snippets,
)
from tests.server.browsers import ORIGIN, Browser, parameters_of
from tests.support import plain_http
from tests.support.fake_introspection import FakeIntrospection
from tests.support.fake_issuer import FakeIssuer
from tests.support.lying_provider import LyingProvider
from tests.support.one_user import PASSWORD, USER
from tests.support.paths import ROOT
from tests.support.proof_maker import ProofMaker
from unexpired import AsyncClient, Options
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport
from unexpired_kit.page_settings import BUILD, read_settings
from unexpired_server.http import starlette_backend

DATABASE = "postgresql+asyncpg://app:secret@db.example/unexpired"
DIRECTIVES = {
    "literalinclude",
    "eval-rst",
    "toctree",
    "mermaid",
    "settings-list",
    "calls-table",
    "codes-table",
    "commands-table",
    "attributes-table",
    "include",
}
SERVES = re.compile(r"(server|unexpired) serve|http\.server")
POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')

FOLDERS = [ROOT / name for name in ("app", "server", "kit")]
"""Those of our packages."""

OWN_APPLICATION = "how-to/own-application.md"

Namespace = dict[str, Any]


def parametrized(kind: str) -> pytest.MarkDecorator:
    """Run a test for each snippet of a kind."""
    found = [one for page in pages() for one in snippets(page, kind)]
    return pytest.mark.parametrize(
        "snippet", found, ids=[f"{name(one.page)}:{one.line}" for one in found]
    )


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels that `make wheel` builds."""
    target = tmp_path_factory.mktemp("wheels")
    build(target)
    return target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder: the working directory and the home."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    return tmp_path


# -- All snippets ----------------------------------------------------------------------------------


def test_every_kind_of_snippet_is_run() -> None:
    """A fence is run by a test here, or is a directive of the site."""
    found = {kind for page in everything() for kind in kinds(page)}
    assert found - {*LANGUAGES, *DIRECTIVES} == set()


def kinds(page: Path) -> Iterator[str]:
    """Yield the kind of each code block of a page; "" where none is given."""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in {"fence", "code_block"}:
            yield token.info.removeprefix("{code-block} ").partition("}")[0].strip("{ ")


# -- Python ----------------------------------------------------------------------------------------


@pytest.fixture
def pandas(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace pandas, which reads tables with urlopen; leave no opener installed."""
    stand_in = SimpleNamespace(read_csv=urllib.request.urlopen)
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    yield
    urllib.request.install_opener(urllib.request.build_opener())


@pytest.mark.usefixtures("pandas")
def test_scripts_and_other_http_libraries_call_within_the_session(api: str, folder: Path) -> None:
    """The script signs in where it must, and keeps its session in a file; the adapters use it."""
    done = run("how-to/desktop-and-adapters.md", api)
    assert list(folder.glob("unexpired/*.json"))
    assert done["notes"] == {"notes": []}
    assert done["text"] == b'{"notes":[]}'
    with pytest.raises(urllib.error.HTTPError, match="404"):  # This server has no such table.
        done["read_table"]()
    assert done["client"].user is not None


@pytest.mark.usefixtures("folder")
def test_the_habits_of_httpx_work(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hook prints each response; an upload prints its progress."""
    done = run("explanation/httpx.md", api)
    assert done["notes"] == []
    assert "GET http" in capsys.readouterr().out
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b")
    assert done["upload"](path).status_code == 404  # This server takes no files.
    printed = capsys.readouterr().out
    assert printed.startswith("0 of ")
    assert "404 Not Found" in printed


class Mail:
    """Stands for ``smtplib.SMTP``; keeps the letters."""

    letters: ClassVar[list[EmailMessage]] = []

    def __init__(self, host: str) -> None:
        assert host == "localhost"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def send_message(self, letter: EmailMessage) -> None:
        """Keep a letter."""
        self.letters.append(letter)


@pytest.mark.usefixtures("folder")
def test_the_link_of_a_letter_replaces_a_forgotten_password(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's application sends it to the user's address."""
    monkeypatch.setattr(smtplib, "SMTP", Mail)
    asyncio.run(forget_and_replace(run("how-to/accounts.md", api)["app"]))


async def forget_and_replace(app: Starlette) -> None:
    name, old, new = "grace@example.com", "staple another horse", "a better password"
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        account = {"username": name, "password": old}
        assert (await http.post("/api/signup", json=account)).status_code == 201
        assert (await http.post("/api/password/forgot", json={"username": name})).is_success
        async with asyncio.timeout(30):
            while not Mail.letters:
                await asyncio.sleep(0)
        letter = Mail.letters.pop()
        assert letter["To"] == name
        token = re.search(r"#/reset\?token=(\S+)", letter.get_content())
        assert token
        reset = {"token": token[1], "newPassword": new}
        assert (await http.post("/api/password/reset", json=reset)).status_code == 204
        signed_in = await http.post("/api/login", json={"username": name, "password": new})
        assert signed_in.status_code == 200


@pytest.mark.usefixtures("folder")
def test_people_of_a_provider_become_the_users_of_an_application(api: str) -> None:
    """The guide's application refuses the person of another organization."""
    with LyingProvider() as provider:
        replacing = {
            "https://login.example.com/realms/notes": provider.issuer,
            "https://notes.example": ORIGIN,
        }
        done = run("how-to/sign-in-at-a-provider.md", api, replacing=replacing)
        asyncio.run(sign_in_at_provider(done["app"], provider))
    assert [one.username for one in done["members"].values()] == ["ada@example.com"]


async def sign_in_at_provider(app: Starlette, provider: LyingProvider) -> None:
    async with app.router.lifespan_context(app):
        first = await Browser(app).sign_in()
        assert (await Browser(app).sign_in())["user"] == first["user"]
        provider.claims = {"email": "eve@evil.example"}
        assert parameters_of(await Browser(app).visit()) == {"failed": "NOT_ALLOWED"}


@pytest.mark.usefixtures("folder")
def test_an_application_of_ones_own_issues_and_verifies_tokens(api: str) -> None:
    """The application has our routes; the verifier returns a token's user, or its error code."""
    done = run(OWN_APPLICATION, api)
    assert "/api/login" in {route.path for route in done["app"].routes}
    assert asyncio.run(answer_of(done["app"], "/mine")) == (401, "Unauthorized")
    assert asyncio.run(answer_of(done["app"], "/api/me"))[0] == 401
    status, text = asyncio.run(answer_of(done["api"], "/yours"))
    assert (status, "NO_TOKEN" in text) == (401, True)
    login = plain_http.post(
        f"{api}/api/login", json={"username": USER, "password": PASSWORD}
    ).json()
    authenticate = done["authenticate"]
    assert asyncio.run(authenticate(login["accessToken"])) == login["user"]["id"]
    assert asyncio.run(authenticate("no token")) == "INVALID_TOKEN"


def test_tokens_of_any_issuer_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier finds the keys by the issuer's name; the partner's are at their address."""
    monkeypatch.setenv("ORDERS_CLIENT_SECRET", "secret")
    with FakeIssuer("/realms/shop") as issuer:
        given = {"https://issuer.example.com/realms/shop": issuer.url}
        done = run("how-to/verify-any-issuer.md", API, replacing=given)
        header = f"Bearer {issuer.token(aud='https://orders.example.com')}"
        assert asyncio.run(done["who"](header)) == ("ada", {"orders:read"}, "web")
        assert done["who_in_a_thread"](header) == "ada"


def test_opaque_tokens_of_any_issuer_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's service asks as the client that the guide names."""
    monkeypatch.setenv("ORDERS_CLIENT_SECRET", "secret")
    with FakeIntrospection(client_id="orders", client_secret="secret") as issuer:
        given = {"https://issuer.example.com/realms/shop": issuer.url}
        done = run("how-to/verify-any-issuer.md", API, replacing=given)
        header = f"Bearer {issuer.issue(aud='https://orders.example.com')}"
        assert asyncio.run(done["who_is_it"](header)) == "ada"


def test_the_test_in_the_flask_guide_passes(api: str, tmp_path: Path) -> None:
    """Beside the guide's application, as its reader has it."""
    for one in snippets(DOCS / "how-to/flask.md", "python"):
        (tmp_path / (one.caption or "main.py")).write_text(one.text.replace(API, api))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "app", ROOT / "server")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_the_servers_readme_mounts_the_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its application answers our routes, its own ones and unknown paths."""
    monkeypatch.chdir(tmp_path)
    (code,) = snippets(ROOT / "server" / "README.md", "python")
    made: Namespace = {"__name__": "snippet"}
    exec(code.text, made)  # noqa: S102 - That is the test.
    asked = {path: asyncio.run(answer_of(made["app"], path)) for path in ("/orders", "/x")}
    assert asked["/x"] == (404, '{"detail":"Not Found"}')
    assert asked["/orders"][0] == 401
    assert "NO_TOKEN" in asked["/orders"][1]
    assert "NO_TOKEN" in asyncio.run(answer_of(made["app"], "/api/me"))[1]


async def answer_of(app: Starlette, path: str) -> tuple[int, str]:
    """Return the status and the body of an application's response."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http,
    ):
        response = await http.get(path)
    return response.status_code, response.text


def test_the_tests_in_the_testing_guide_pass() -> None:
    """All five are run."""
    done = run("how-to/testing.md", API)
    tests = [one for title, one in done.items() if title.startswith("test_")]
    assert len(tests) == 5
    for one in tests:
        one()


@pytest.mark.usefixtures("folder")
def test_code_in_docstrings_makes_what_it_says(api: str) -> None:
    """The reference shows one block of a docstring's code; it makes an application with routes."""
    sources = [*(ROOT / "server").rglob("*.py"), *(ROOT / "app").rglob("*.py")]
    assert [one for one in sources if "::\n\n    service" in one.read_text()] == [
        ROOT / "server/unexpired_server/http/starlette_backend.py"
    ]
    text = inspect.cleandoc(starlette_backend.__doc__ or "").partition("::\n\n")[2]
    made = {**run(OWN_APPLICATION, api), "yours": []}
    exec(inspect.cleandoc(text), made)  # noqa: S102 - That is the test.
    assert "/api/login" in {route.path for route in made["app"].routes}


def test_the_readmes_code_without_the_library_can_be_run(api: str) -> None:
    """What the README compares us with is Python, too."""
    assert inspect.iscoroutinefunction(run("../README.md", api)["get"])


def test_the_route_that_sets_the_cookie_can_be_added(api: str) -> None:
    """It is one of an application that lets people in itself."""
    app = fastapi.FastAPI()
    types = {"Request": fastapi.Request, "Response": fastapi.Response}
    run("how-to/cookies.md", api, replacing=None, app=app, Link=str, **types)
    assert "/enter" in app.openapi()["paths"]


def test_every_page_with_python_has_a_test() -> None:
    """Each page with Python for programs has a test here."""
    run_here = {
        name(page)
        for page in pages()
        if page not in PROVIDER_PAGES
        for one in snippets(page, "python")
        if one.is_for_programs
    }
    guides = {f"docs/{guide.page}" for guide in GUIDES}
    others = (
        "cookies", "desktop-and-adapters", "sign-in-at-a-provider", "testing", "verify-any-issuer",
    )  # fmt: skip
    how_to = {f"docs/how-to/{one}.md" for one in others}
    assert run_here == {"README.md", "docs/explanation/httpx.md"} | guides | how_to


def run(page: str, api: str, *, replacing: dict[str, str] | None = None, **given: Any) -> Namespace:
    """Run a page's Python for programs, in order; return its namespace."""
    others = {API: api} | (replacing or {})
    namespace: Namespace = {"__name__": "snippet", **given}
    for one in snippets((DOCS / page).resolve(), "python"):
        if one.is_for_programs:
            text = "\n" * one.line + one.text
            for name_in_page, address in others.items():
                text = text.replace(name_in_page, address)
            exec(compile(text, one.page, "exec"), namespace)  # noqa: S102 - This is the test.
    return namespace


async def test_stored_tokens_of_before_are_taken_over(api: str) -> None:
    """Who was signed in stays so, and the old copy is deleted."""
    made: Namespace = {}
    for one in snippets(DOCS / "how-to" / "from-hand-written.md", "python"):
        if one.caption == "stored.py":
            exec(one.text, made)  # noqa: S102 - That is the test.
    async with httpx.AsyncClient(base_url=api) as http:
        login = await http.post("/api/login", json={"username": USER, "password": PASSWORD})
    stored = {"tokens": login.text}
    storage = SimpleNamespace(getItem=stored.get, removeItem=stored.pop)
    client = AsyncClient(ThreadedTransport(UrllibTransport()), base_url=api)
    await made["adopt_stored"](client, storage)
    assert (await client.get("/api/me")).json()["username"] == USER
    assert stored == {}


def test_the_front_page_says_how_large_the_client_is(wheels: Path) -> None:
    """The size of the wheel, within a fifth."""
    said = re.search(r"one wheel of about (\d+) kB", (DOCS / "index.md").read_text())
    (wheel,) = wheels.glob("unexpired-*.whl")
    assert said
    assert 0.8 < int(said[1]) * 1000 / wheel.stat().st_size < 1.2


# -- Shell -----------------------------------------------------------------------------------------


@parametrized("sh")
def test_shell_commands_succeed(snippet: Snippet, folder: Path, wheels: Path) -> None:
    """Every command exits with 0; a server prints its address."""
    shell = Shell(folder, wheels)
    if SERVES.search(snippet.text):
        shell.prints(snippet.text, "http://")
    else:
        shell.runs(snippet.text)


class Shell:
    """Runs commands as a reader would, in a folder, without the network.

    ``make`` and ``pip`` do a dry run; a database is a file.

    Args:
        folder: The working directory.
        wheels: Our wheels, for pip.
    """

    def __init__(self, folder: Path, wheels: Path) -> None:
        self._folder = folder
        (folder / "dist").mkdir()
        shutil.copytree(wheels, folder / "build" / "wheels")
        commands = folder / "bin"
        commands.mkdir()
        self._stand_in(commands / "make", f"{shutil.which('make')} -n -C {ROOT}")
        self._stand_in(commands / "unexpired-server", f"{sys.executable} -m unexpired_server")
        self._stand_in(commands / "unexpired", f"{sys.executable} -m unexpired_kit")
        self._environment = os.environ | {
            "PATH": os.pathsep.join((str(commands), _beside_python(), os.environ["PATH"])),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *FOLDERS))),
            "PYTHONUNBUFFERED": "1",
            "UNEXPIRED_PORT": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_DRY_RUN": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_IGNORE_INSTALLED": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
        }

    @staticmethod
    def _stand_in(path: Path, command: str) -> None:
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)

    def runs(self, text: str) -> None:
        """Run commands to the end; all must succeed."""
        with self._started(text) as process:
            output, _ = process.communicate(f"{PASSWORD}\n")
        assert process.returncode == 0, output

    def prints(self, text: str, part: str) -> None:
        """Run commands until they print a line with this part, then stop them."""
        with self._started(text) as process:
            lines = [""]
            for line in process.stdout or ():
                lines.append(line)
                if part in line:
                    break
            os.killpg(process.pid, signal.SIGTERM)
        assert part in lines[-1], "".join(lines)

    def _started(self, text: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - Our own documentation.
            ["bash", "-euc", _for_tests(text)],  # noqa: S607 - The reader's shell.
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


def _for_tests(text: str) -> str:
    """Replace what the reader has by what the test has."""
    file = "sqlite+aiosqlite:///data/unexpired.sqlite3"
    return text.replace(DATABASE, file).replace("http.server", "http.server 0")


# -- HTTP ------------------------------------------------------------------------------------------


def test_requests_get_the_responses_that_are_shown(api: str) -> None:
    """Each request is followed by its response: its status, its headers and its fields."""
    shown = [one.text for one in snippets(DOCS / "reference" / "http.md", "http")]
    assert shown
    for asked, answered in zip(shown[::2], shown[1::2], strict=True):
        (method, path, _), headers, body = message(asked)
        if "dpop" in headers:
            headers["dpop"] = ProofMaker().proof(method, api + path)
        response = plain_http.request(method, api + path, headers=headers, content=body)
        (_, status, _), expected, fields = message(answered)
        assert response.status_code == int(status)
        for header, value in expected.items():
            pattern = re.escape(value).replace("…", "[^;]+")
            assert re.fullmatch(pattern, response.headers[header]), header
        assert shape(response.json()) == shape(json.loads(fields))


def message(text: str) -> tuple[list[str], dict[str, str], str]:
    """Return the parts of the first line, the headers, and the body of a message."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    return first.split(" ", 2), {name.lower(): value for name, value in headers.items()}, body


def shape(value: object) -> object:
    """Return what stays the same from one response to the next: names and types."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return type(value)


# -- TOML and HTML ---------------------------------------------------------------------------------


@parametrized("toml")
def test_settings_exist(snippet: Snippet, wheels: Path) -> None:
    """Options are valid, and each file exists."""
    table = tomllib.loads(snippet.text)
    assert set(table) <= {"files", "unexpired", BUILD}
    if BUILD in table:
        read_settings(snippet.text)
    Options(**table.get("unexpired", {}))
    existing = {file.name for file in wheels.iterdir()}
    assert {Path(file).name for file in table.get("files", {})} <= existing


@parametrized("html")
def test_markup_is_balanced_and_its_policy_as_strict_as_ours(snippet: Snippet) -> None:
    """Every element is closed; a policy allows only what our own page's allows."""
    BalanceChecker().check(snippet.text)
    (ours,) = POLICY.findall((ROOT / "index.html").read_text())
    for policy in POLICY.findall(snippet.text):
        assert _directives(policy) <= _directives(ours)


class BalanceChecker(HTMLParser):
    """Checks that elements are closed in reverse order of opening."""

    VOID = {"meta", "link", "input", "br", "img"}  # noqa: RUF012 - It is constant.

    def check(self, text: str) -> None:
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - The base class's signature.
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _directives(policy: str) -> set[str]:
    return {" ".join(one.split()) for one in policy.split(";")}
