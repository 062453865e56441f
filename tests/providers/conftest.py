"""The providers that the tests of this folder sign in at, and an API that takes their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.providers.places import API, CALLBACK, ORIGIN, Machine
from tests.support.django_provider import DjangoProvider
from tests.support.form_browser import FormBrowser
from tests.support.lying_provider import LyingProvider
from tests.support.oidc_provider import OidcProvider
from tests.support.person_with_browser import PersonWithBrowser
from tests.support.raw_client import RawClient
from tests.support.verifying_api import VerifyingApi
from unexpired.oidc import Provider


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """Return oidc-provider of npm, with its own rules."""
    with OidcProvider(
        redirect_uris=[CALLBACK],
        post_logout_redirect_uris=[CALLBACK, f"{ORIGIN}/"],
        server_redirect_uris=[f"{ORIGIN}/signed-in"],
        origins=[ORIGIN],
    ) as provider:
        yield provider


@pytest.fixture
def npm(oidc_provider: OidcProvider) -> Iterator[OidcProvider]:
    """Return the same, as it was at first."""
    oidc_provider.log()
    yield oidc_provider
    oidc_provider.change(
        access_ttl=300, rotate=True, always_refresh=False, slow=0, failing={}, lost_responses=0
    )


@pytest.fixture
def npm_spa(npm: OidcProvider) -> RawClient:
    """Return a page's client there."""
    return RawClient(npm.metadata, "spa", CALLBACK)


@pytest.fixture(scope="session")
def django() -> Iterator[DjangoProvider]:
    """Return Django OAuth Toolkit, whose access tokens live for seven seconds."""
    with DjangoProvider(
        ORIGIN, [CALLBACK], post_logout_redirect_uris=[f"{ORIGIN}/"], access_ttl=7
    ) as provider:
        yield provider


@pytest.fixture
def django_spa(django: DjangoProvider) -> RawClient:
    """Return a page's client there."""
    metadata = {**django.metadata, **django.unlisted}
    return RawClient(metadata, "spa", CALLBACK, scope="openid profile email")


@pytest.fixture(scope="session")
def api(oidc_provider: OidcProvider) -> Iterator[VerifyingApi]:
    """Return an API that verifies the tokens which oidc-provider has issued for it."""
    with VerifyingApi(oidc_provider.issuer, API) as running:
        yield running


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
def system_browser(person: FormBrowser, monkeypatch: pytest.MonkeyPatch) -> PersonWithBrowser:
    """Return the browser that programs open."""
    browser = PersonWithBrowser(person)
    browser.install(monkeypatch)
    return browser


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where programs keep their sessions."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "unexpired"


@pytest.fixture
async def machine(liar: LyingProvider) -> AsyncIterator[Machine]:
    """A browser whose page signs in at the provider that may lie."""
    options: dict[str, Any] = {"base_url": liar.url, "logout_path": ""}
    machine = Machine(Provider(issuer=liar.issuer, client_id="spa", redirect_uri=CALLBACK), options)
    yield machine
    machine.close()
