"""Sign in at npm's oidc-provider, a certified one, and get a session of this server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.browsers import CALLBACK, ORIGIN, Browser, parameters_of
from tests.support.oidc_provider import CLIENT_SECRETS, OidcProvider, sign_in
from unexpired_server import Settings, create_app


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider(redirect_uris=[CALLBACK], server_redirect_uris=[CALLBACK]) as provider:
        yield provider


@asynccontextmanager
async def serving(
    provider: OidcProvider, folder: Path, client_id: str = "server", **changes: Any
) -> AsyncIterator[Browser]:
    """Run a server that knows the provider; yield a browser."""
    given = {
        "database_url": f"sqlite+aiosqlite:///{folder}/test.sqlite3",
        "keys_file": folder / "keys.json",
        "public_url": ORIGIN,
        "login_with": provider.issuer,
        "login_with_client_id": client_id,
        "login_with_client_secret": CLIENT_SECRETS.get(client_id),
    }
    settings = Settings(**{**given, **changes})
    app = create_app(settings, now=time.time)
    async with app.router.lifespan_context(app):
        yield Browser(app)


async def come_back(browser: Browser, login: str = "ada", *, refuses: bool = False) -> str:
    url = await browser.leave()
    return await browser.come_back(await asyncio.to_thread(sign_in, url, login, refuses=refuses))


@pytest.mark.parametrize("client_id", ["server", "spa", "spa-es"])
async def test_a_person_signs_in(provider: OidcProvider, tmp_path: Path, client_id: str) -> None:
    async with serving(provider, tmp_path, client_id) as browser:
        tokens = (await browser.redeem(await come_back(browser))).json()
        assert tokens["user"]["username"] == "ada"
        again = (await browser.redeem(await come_back(browser))).json()
        assert again["user"] == tokens["user"]
        other = (await browser.redeem(await come_back(browser, "grace"))).json()
        assert other["user"]["username"] == "grace"
        refreshed = await browser.http.post(
            "/api/refresh", json={"refreshToken": tokens["refreshToken"]}
        )
        assert refreshed.status_code == 200


async def test_a_person_who_cancels_is_back_at_the_page(
    provider: OidcProvider, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as browser:
        page = await come_back(browser, refuses=True)
        assert parameters_of(page) == {"failed": "ACCESS_DENIED"}


async def test_an_outage_between_leaving_and_coming_back(
    provider: OidcProvider, tmp_path: Path
) -> None:
    async with serving(provider, tmp_path) as browser:
        provider.fail(token=503)
        assert parameters_of(await come_back(browser)) == {"failed": "PROVIDER_UNAVAILABLE"}
        provider.fail()
        assert (await browser.redeem(await come_back(browser))).status_code == 200


async def test_a_wrong_secret_is_no_sign_in(provider: OidcProvider, tmp_path: Path) -> None:
    async with serving(provider, tmp_path, login_with_client_secret="wrong") as browser:
        assert parameters_of(await come_back(browser)) == {"failed": "PROVIDER_REFUSED"}
