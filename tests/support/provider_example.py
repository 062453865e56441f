"""The API of examples/provider in a process of its own, with a page that a test has built.

A test module takes a fixture of these over by giving it a name of its own, as in
``home = provider_example.home``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from build_example import build
from tests.support.oidc_provider import OidcProvider
from tests.support.paths import ROOT
from tests.support.served_app import ServedApp

ACCESS_TTL = 2  # s
"""So short that a test sees its tokens expire."""

AUDIENCE = "https://notes.example"
ISSUER = "http://127.0.0.1:3000"


def build_page(page: Path, provider: OidcProvider) -> None:
    """Build the page of the example, which signs in at a provider.

    Args:
        page: The folder to build.
        provider: The provider in place of the example's.
    """
    build("provider", page)
    settings = page / "pyscript.toml"
    settings.write_text(settings.read_text().replace(ISSUER, provider.issuer))


@contextmanager
def served(page: Path, provider: OidcProvider) -> Iterator[str]:
    """Serve the API and a page, which the provider then knows; yield their address.

    Browsers let only local pages call a local provider, so that a server has to serve the page.

    Args:
        page: The folder of the page.
        provider: Issues the tokens.
    """
    text = (ROOT / "examples" / "provider" / "main.py").read_text()
    variables = {"ISSUER": provider.issuer, "AUDIENCE": AUDIENCE, "PAGE": str(page)}
    app = ServedApp(page.parent, text, variables).start()
    pages = [f"{app.url}/"]
    provider.change(redirect_uris=pages, post_logout_redirect_uris=pages, origins=[app.url])
    yield app.url
    app.stop()


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """A provider whose access tokens expire within seconds."""
    with OidcProvider(access_ttl=ACCESS_TTL) as provider:
        yield provider


@pytest.fixture
def called(provider: OidcProvider) -> str:
    """Where the page calls besides its own server: see tests/e2e/conftest.py."""
    return provider.issuer


@pytest.fixture(scope="module")
def home(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the example."""
    page = tmp_path_factory.mktemp("provider") / "page"
    build_page(page, provider)
    with served(page, provider) as home:
        yield home
