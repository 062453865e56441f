"""Sign in at a provider by way of the server, with the documentation's Python in the page."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.docs.pages import DOCS, snippets
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory
from tests.support.lying_provider import LyingProvider
from tests.support.server_process import ServerProcess

GUIDE = DOCS / "how-to" / "sign-in-at-a-provider.md"
LEAVE = """
import asyncio
def leave():
    asyncio.get_running_loop().call_later(0, sign_in_at_provider)
"""
"""A page that is left while it runs Python would not say what became of that."""

CODE = re.compile(r"#/login\?code=")


@pytest.fixture(scope="module")
def provider() -> Iterator[LyingProvider]:
    with LyingProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def backend(
    tmp_path_factory: pytest.TempPathFactory, provider: LyingProvider
) -> Iterator[ServerProcess]:
    """A server that knows the provider; a port that was free a moment ago is in its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = ServerProcess(
        tmp_path_factory.mktemp("server"),
        "--port",
        str(port),
        UNEXPIRED_PUBLIC_URL=f"http://127.0.0.1:{port}",
        UNEXPIRED_LOGIN_WITH=provider.issuer,
        UNEXPIRED_LOGIN_WITH_CLIENT_ID="notes",
    )
    yield server.start()
    server.stop()


def guide() -> str:
    """The guide's Python for the page, until the page starts."""
    (page,) = (one.text for one in snippets(GUIDE, "python") if one.is_for_browsers)
    return page.partition("await client.ready()")[0] + LEAVE


def returned(page: Page) -> Library:
    """Load the page that only the tests have: no redirect leads to it."""
    back = page.url
    page.goto("about:blank")
    return Library(page, back)


def finished(library: Library) -> object:
    library.run(guide())
    return library.run("await client.ready()\nawait finish_sign_in()")


def test_a_page_signs_in_at_the_provider_and_keeps_the_servers_session(
    context_of: ContextFactory, backend: ServerProcess
) -> None:
    page = context_of(backend.url).new_page()
    library = Library(page)
    assert finished(library) == ""
    library.run("leave()")
    expect(page).to_have_url(CODE)
    back = page.url
    library = returned(page)
    assert finished(library) == "signed in"
    assert page.url == f"{backend.url}/library.html#/login"
    assert library.run("(await client.get('/api/me')).json()['username']") == "ada"
    assert library.run("client.diagnose()['bound']") is True

    other = context_of(backend.url).new_page()
    stolen = Library(other, back)
    other.evaluate("sessionStorage.setItem('verifier', 'a'.repeat(43))")
    stolen.run(f"{guide()}\nawait client.ready()\nNone")
    refused = stolen.run(
        """
try:
    await finish_sign_in()
except Exception as failure:
    refused = getattr(failure, "response", None)
refused.code
"""
    )
    assert refused == "SIGN_IN_INVALID"
    assert stolen.record == library.record != {}


def test_a_person_who_cancels_is_back_at_the_page(
    context_of: ContextFactory, backend: ServerProcess, provider: LyingProvider
) -> None:
    page = context_of(backend.url).new_page()
    library = Library(page)
    finished(library)
    provider.answer = {"error": "access_denied", "code": None}
    library.run("leave()")
    expect(page).to_have_url(re.compile(r"#/login\?failed=ACCESS_DENIED"))
    provider.answer = {}
    assert finished(returned(page)) == "ACCESS_DENIED"
