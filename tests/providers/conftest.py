"""The providers that the tests of this folder sign in at, and an API that takes their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.providers.places import CALLBACK, Machine
from tests.support.form_browser import FormBrowser
from tests.support.lying_provider import LyingProvider
from tests.support.oidc_provider import OidcProvider
from unexpired.oidc import Provider


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """Return oidc-provider of npm, with its own rules."""
    with OidcProvider(redirect_uris=[CALLBACK], post_logout_redirect_uris=[CALLBACK]) as provider:
        yield provider


@pytest.fixture
def liar() -> Iterator[LyingProvider]:
    """A provider that is honest until a test makes it lie."""
    with LyingProvider() as provider:
        yield provider


@pytest.fixture
def person() -> Iterator[FormBrowser]:
    """Somebody with a browser of their own."""
    with FormBrowser() as browser:
        yield browser


@pytest.fixture
async def machine(liar: LyingProvider) -> AsyncIterator[Machine]:
    """A browser whose page signs in at the provider that may lie."""
    options: dict[str, Any] = {"base_url": liar.url, "logout_path": ""}
    machine = Machine(Provider(issuer=liar.issuer, client_id="spa", redirect_uri=CALLBACK), options)
    yield machine
    machine.close()
