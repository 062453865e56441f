"""The pages on identity providers: their code signs in at providers of the tests.

The page of a guide is a tab without a browser (``tests/providers/places.py``), in which a snippet
runs again after the page was left and opened again. Real browsers run ``examples/provider``.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import jwt
import pytest

from tests.docs.pages import API, DOCS, PROVIDER_PAGES, Snippet, snippets
from tests.providers.places import FormWindow, Tab
from tests.support import plain_http
from tests.support.form_browser import FormBrowser
from tests.support.lying_provider import KEY_ID, KEYS, LyingProvider
from tests.support.oidc_provider import OidcProvider, sign_in
from tests.support.paths import ROOT
from tests.support.served_app import ServedApp
from tests.support.threaded_server import QuietHandler, ThreadedServer
from unexpired import AsyncClient, MemoryStore, SignInFailed
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport
from unexpired.errors import SIGN_IN_MESSAGES

HOW_TO = DOCS / "how-to" / "sign-in-with-a-provider.md"
KEYCLOAK, NOTEBOOK, COMMAND_LINE = (
    DOCS / "tutorials" / f"{one}.md"
    for one in ("fastapi-and-keycloak", "jupyterlite-dashboard", "command-line-program")
)
PROVIDER = "https://login.example.com"
"""The reader's provider in the documentation."""

SOON = 30.0  # s


class GuideTab(Tab):
    """A tab whose pop-ups, and the links that it shows, lead to the provider and back."""

    def window(self, redirect_uri: str, popup: object) -> Any:
        if not popup:
            return super().window(redirect_uri, popup)
        assert redirect_uri.endswith("/callback.html")
        return LinkWindow(self.browser, redirect_uri, popup)


class LinkWindow(FormWindow):
    """What the person opens by a click.

    Args:
        browser: The person.
        redirect_uri: Where the provider sends them back to.
        show: Shows the link, if it is a function.
    """

    def __init__(self, browser: FormBrowser, redirect_uri: str, show: object) -> None:
        super().__init__(browser, redirect_uri)
        self._show = show

    async def visit(self, url: str) -> str:
        if callable(self._show):
            self._show(url)
        return await super().visit(url)


class Page:
    """A page of an application, as a guide's reader writes it.

    Args:
        tab: Where it is shown.
        **replaced: What stands for an address of the documentation.
    """

    def __init__(self, tab: Tab, replaced: Mapping[str, str]) -> None:
        self._tab = tab
        self._replaced = replaced
        self._store = MemoryStore()
        self.clients: list[AsyncClient] = []
        self.names: dict[str, Any] = {"__name__": "snippet"}

    async def run(self, snippet: Snippet) -> None:
        """Run a snippet; again, each time that the page was left and is opened again."""
        text = snippet.text
        for address, other in self._replaced.items():
            text = text.replace(address, other)
        code = compile(text, snippet.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with patch.object(AsyncClient, "in_browser", self._in_browser):
            while await self._is_left(code):
                await self._tab.follow()

    async def _is_left(self, code: Any) -> bool:
        waiting = eval(code, self.names)  # noqa: S307 - Our own documentation.
        if waiting is None:
            return False
        before = len(self._tab.left_for)
        running = asyncio.ensure_future(waiting)
        async with asyncio.timeout(SOON):
            while not running.done() and len(self._tab.left_for) == before:
                await asyncio.sleep(0.01)
        if running.done():
            running.result()
            return False
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return True

    def _in_browser(self, **options: Any) -> AsyncClient:
        client = AsyncClient(
            ThreadedTransport(UrllibTransport()),
            store=self._store,
            navigator=self._tab,
            place=self._tab,
            **{"page_url": self._tab.address, "base_url": "", **options},
        )
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Close all of its clients."""
        for client in self.clients:
            client.close()


@pytest.fixture
def tab() -> Iterator[GuideTab]:
    """A tab of somebody's browser."""
    with FormBrowser() as person:
        yield GuideTab(person)


class Pyscript:
    """Stands for PyScript's module: the listeners, and what the page shows."""

    def __init__(self) -> None:
        self.shown = SimpleNamespace(textContent="")
        self.listeners: dict[str, Callable[[object], Any]] = {}
        self.document = SimpleNamespace(querySelector=lambda _: self.shown)

    def when(self, event: str, selector: str) -> Callable[[Any], Any]:
        """Register a listener."""

        def register(listener: Any) -> Any:
            self.listeners[f"{event} {selector}"] = listener
            return listener

        return register


# -- The guide -------------------------------------------------------------------------------------


async def test_the_guides_page_signs_in_and_finds_its_draft_again(tab: GuideTab) -> None:
    """Its first snippet leaves for the provider, and calls the API with a token."""
    with LyingProvider() as provider:
        page = Page(tab, {API: provider.url, PROVIDER: provider.issuer})
        first, *others = snippets(HOW_TO, "python")
        await page.run(first)
        assert len(tab.left_for) == 1
        assert provider.sent[-1].path == "/api/notes"
        assert provider.sent[-1].headers["Authorization"].startswith("Bearer ")
        for one in others:
            await page.run(one)
        assert await page.names["start"]() == "signed in"
        assert len(tab.left_for) == 1  # The pop-up leaves nothing.
        page.close()


def test_each_code_of_a_failed_sign_in_is_in_the_guide_with_its_sentence() -> None:
    """No row says anything else than the library does."""
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", _section("Errors"), flags=re.MULTILINE)
    said = {code: sentence for codes, sentence in rows for code in re.findall(r"`(\w+)`", codes)}
    assert said == dict(SIGN_IN_MESSAGES)
    assert all(str(SignInFailed(code)) == sentence for code, sentence in said.items())


def _section(title: str) -> str:
    return HOW_TO.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


# -- FastAPI and Keycloak --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keycloak() -> Iterator[LyingProvider]:
    """A provider whose access tokens have the claims of Keycloak's."""
    with LyingProvider("/realms/shop") as provider:
        provider.tokens = {"access_token": _keycloak_token(provider)}
        yield provider


def _keycloak_token(provider: LyingProvider, **claims: Any) -> str:
    now = int(time.time())
    usual = {
        "iss": provider.issuer,
        "aud": ["shop-orders", "account"],
        "azp": "shop-page",
        "typ": "Bearer",
        "sub": "0c6b6f2d-7f0e-4f3c-9a52-3d0f6f3c1f11",
        "sid": "5d9a4f1e-6f6c-4a5f-8f1b-0f5a0a4d2c77",
        "preferred_username": "ada",
        "scope": "openid orders orders:write profile",
        "realm_access": {"roles": ["manager", "offline_access"]},
        "iat": now,
        "exp": now + 300,
    }
    said = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode(said, KEYS["RS256"], "RS256", {"kid": KEY_ID})


@pytest.fixture(scope="module")
def shop(keycloak: LyingProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """The tutorial's API."""
    folder = tmp_path_factory.mktemp("shop")
    (api,) = (one for one in snippets(KEYCLOAK, "python") if one.caption == "main.py")
    (folder / "page").mkdir()
    app = ServedApp(folder, api.text.replace(PROVIDER, keycloak.url)).start()
    yield app
    app.stop()


async def test_the_page_of_the_keycloak_tutorial_asks_its_api(
    tab: GuideTab, keycloak: LyingProvider, shop: ServedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click without a session leads to Keycloak; the next one shows whose orders they are."""
    (code,) = (one for one in snippets(KEYCLOAK, "python") if one.caption == "page/app/main.py")
    pyscript = Pyscript()
    monkeypatch.setitem(sys.modules, "pyscript", pyscript)
    page = Page(tab, {PROVIDER: keycloak.url})
    tab.address = f"{shop.url}/"
    await page.run(code)
    await pyscript.listeners["click #ask"](None)
    await tab.follow()
    await page.run(code)
    await pyscript.listeners["click #ask"](None)
    assert pyscript.shown.textContent == "Orders of ada."
    await pyscript.listeners["click #sign-out"](None)
    assert tab.left_for[-1].startswith(f"{keycloak.url}/logout?")
    page.close()


def test_the_api_of_the_keycloak_tutorial_reads_scopes_and_roles(
    keycloak: LyingProvider, shop: ServedApp
) -> None:
    """Each of them refuses by itself; so does another audience."""

    def status(method: str, path: str, **claims: Any) -> int:
        headers = {"Authorization": f"Bearer {_keycloak_token(keycloak, **claims)}"}
        return plain_http.request(method, shop.url + path, headers=headers).status_code

    assert status("GET", "/api/orders") == 200
    assert status("GET", "/api/orders", aud="account") == 403
    assert status("POST", "/api/orders") == 200
    assert status("POST", "/api/orders", scope="openid orders") == 403
    assert status("GET", "/api/revenue") == 200
    assert status("GET", "/api/revenue", realm_access={"roles": ["clerk"]}) == 403
    assert status("GET", "/api/revenue", realm_access=None) == 403


# -- JupyterLite -----------------------------------------------------------------------------------


class Displays:
    """Stands for IPython's module.

    Args:
        shown: What a notebook shows, one after the other.
    """

    HTML = str

    def __init__(self, shown: list[str]) -> None:
        self.update = shown.append

    def display(self, content: Any, *, display_id: bool = False, raw: bool = False) -> Any:
        """Show a text, which can be updated if it has an id; or a text in several types."""
        self.update(content["text/html"] if raw else content)
        return self if display_id else None


async def test_the_dashboard_follows_its_api_across_expiries(
    tab: GuideTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link leads to the provider; the loop goes on while tokens expire, and ends in an end."""
    shown: list[str] = []
    monkeypatch.setitem(sys.modules, "IPython.display", Displays(shown))
    with LyingProvider() as provider:
        provider.access_ttl = 1
        reading = json.dumps({"value": "<1>"}).encode()
        provider.answers["/api/readings/latest"] = (
            200,
            {"Content-Type": "application/json"},
            reading,
        )
        page = Page(tab, {API: provider.url, PROVIDER: provider.issuer})
        start, live, elsewhere = snippets(NOTEBOOK, "python")
        await page.run(start)
        assert f'href="{provider.issuer}/authorize?' in shown[0]
        assert "&amp;" in shown[0]
        await page.run(live)
        page.names["task"].cancel()
        following = asyncio.create_task(page.names["follow"](0.05))
        await _until(lambda: provider.requests["/token"] > 3)
        assert {"<b>&lt;1&gt;</b>"} == {*shown[2:]}
        provider.fail("/token", 400, "invalid_grant")
        refusal = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        provider.answers["/api/readings/latest"] = 401, refusal, b""
        await asyncio.wait_for(following, SOON)
        assert "log in again" in shown[-1]
        provider.answers.clear()
        await page.run(elsewhere)
        assert page.clients[-1].state == "active"
        page.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)


# -- The command line ------------------------------------------------------------------------------

PERSON = f"""#!{sys.executable}
import os, sys
import httpx
from tests.support.form_browser import FormBrowser

with FormBrowser(refuses="REFUSES" in os.environ) as person:
    httpx.get(person.visit(sys.argv[1]))
"""
"""A browser with somebody in front of it, as a program."""


class NotesAPI(ThreadedServer):
    """An API that takes any token, until a test has it take none.

    Attributes:
        takes_tokens: Whether it does.
    """

    def __init__(self) -> None:
        super().__init__(self._handler())
        self.takes_tokens = True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class names it
                body = json.dumps({"notes": ["Buy tea."]}).encode()
                has_token = self.headers.get("Authorization", "").startswith("Bearer ")
                self.send_response(200 if has_token and api.takes_tokens else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


class CommandLine:
    """The tutorial's program, and a person beside it.

    Args:
        folder: An empty folder, which is the home, too.
        provider: Where people sign in.
        api: The address of the API.
        client_id: The program at the provider.
    """

    def __init__(self, folder: Path, provider: OidcProvider, api: str, client_id: str) -> None:
        (code,) = (one for one in snippets(COMMAND_LINE, "python") if one.caption == "notes.py")
        replaced = {PROVIDER: provider.issuer, API: api, "notes-cli": client_id}
        text = code.text
        for address, other in replaced.items():
            text = text.replace(address, other)
        (folder / "notes.py").write_text(text)
        browser = folder / "browser"
        browser.write_text(PERSON)
        browser.chmod(0o755)
        self._folder = folder
        self._environment = os.environ | {
            "BROWSER": f"{browser} %s",
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "app"))),
        }

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start the program."""
        return subprocess.Popen(  # noqa: S603 - Our own documentation.
            [sys.executable, "notes.py", *words],
            cwd=self._folder,
            env=self._environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> tuple[int, str, str]:
        """Run the program; return its exit code, and what it writes to both of its streams."""
        process = self.start(*words, **variables)
        output, errors = process.communicate(timeout=SOON)
        return process.returncode, output, errors


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """Return npm's oidc-provider, whose tokens live for a second."""
    with OidcProvider(access_ttl=1) as provider:
        yield provider


@pytest.fixture
def notes_api() -> Iterator[NotesAPI]:
    """The program's API."""
    with NotesAPI() as api:
        yield api


def test_the_program_signs_in_in_the_browser_and_out_again(
    tmp_path: Path, provider: OidcProvider, notes_api: NotesAPI
) -> None:
    """Its session outlives it and its tokens, until the provider refuses."""
    notes = CommandLine(tmp_path, provider, notes_api.url, "native")
    code, _, errors = notes.run("list")
    assert (code, errors) == (3, "Please sign in. Run: notes login\n")
    assert notes.run("login", REFUSES="yes")[0] == 1
    assert notes.run("login") == (0, "Signed in as ada.\n", "")
    (session,) = (tmp_path / "state" / "unexpired").glob("*.json")
    assert session.stat().st_mode & 0o777 == 0o600
    assert notes.run("list") == (0, "Buy tea.\n", "")
    grants: list[str] = []
    while "refresh_token" not in grants:
        assert notes.run("whoami") == (0, "ada\n", "")
        grants += [one["grant"] for one in provider.log() if one["path"] == "/token"]
    assert grants[0] == "authorization_code"
    assert notes.run("logout") == (0, "Signed out.\n", "")
    assert notes.run("list")[0] == 3


def test_the_program_signs_in_by_another_device(
    tmp_path: Path, provider: OidcProvider, notes_api: NotesAPI
) -> None:
    """The person enters the code that it prints; once the grant is taken back, it says so."""
    notes = CommandLine(tmp_path, provider, notes_api.url, "device")
    with notes.start("login", "--no-browser") as process:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("Open ").strip()
        code = process.stderr.readline().removeprefix("and enter ").strip()
        sign_in(f"{address}?user_code={code}")
        assert process.communicate(timeout=SOON)[0] == "Signed in as ada.\n"
    assert process.returncode == 0
    assert notes.run("list") == (0, "Buy tea.\n", "")
    provider.revoke_grants()
    notes_api.takes_tokens = False
    status, _, errors = notes.run("list")
    assert (status, errors.split(".")[-1]) == (3, " Run: notes login\n")


# -- All of them -----------------------------------------------------------------------------------


def test_every_page_on_providers_is_run_here() -> None:
    """A new one needs a test of its own."""
    assert {HOW_TO, KEYCLOAK, NOTEBOOK, COMMAND_LINE} == PROVIDER_PAGES
