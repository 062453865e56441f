"""How long a sign-in at a provider is waited for, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.virtual_loop import run
from unexpired import AsyncClient, SignInFailed
from unexpired.oidc import Provider
from unexpired.oidc.authorization import MAX_AGE
from unexpired.ports import NoSignInPlace

METADATA = {
    "authorization_endpoint": "https://login.example.com/authorize",
    "token_endpoint": "https://login.example.com/token",
}
PROVIDER = Provider(issuer="https://login.example.com", client_id="app", metadata=METADATA)


class UnopenedLink:
    """A link that is shown, and that nobody opens."""

    redirect_uri = "https://notebooks.example.com/callback.html"
    is_closed = False

    async def visit(self, url: str) -> str:
        await asyncio.Event().wait()
        return url

    def close(self) -> None:
        self.is_closed = True


class Notebook(NoSignInPlace):
    """A place that can only show links."""

    def __init__(self) -> None:
        super().__init__()
        self.link = UnopenedLink()

    def window(self, redirect_uri: str, popup: object) -> UnopenedLink:  # type: ignore[override]  # noqa: ARG002
        return self.link


class NoTransport:
    """What sends nothing: the provider's addresses are known."""

    async def send(self, request: Any) -> Any:
        raise AssertionError(request.url)


def test_a_link_that_nobody_opens_does_not_keep_the_caller_waiting() -> None:
    """After this time its answer would be refused."""
    notebook = Notebook()

    async def wait() -> None:
        client = AsyncClient(
            NoTransport(), place=notebook, base_url="https://api.example.com", provider=PROVIDER
        )
        with pytest.raises(SignInFailed) as failed:
            await client.sign_in(popup=print)
        assert failed.value.code == "SIGN_IN_TIMED_OUT"
        assert asyncio.get_running_loop().time() == pytest.approx(MAX_AGE)

    run(wait())
    assert notebook.link.is_closed
