"""A browser and its page on the way through a sign-in at a provider."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from starlette.applications import Starlette

from unexpired_server.tokens import base64url

ORIGIN = "http://127.0.0.1"
START = "/api/login/provider"
CALLBACK = f"{ORIGIN}{START}/callback"
TOKEN = f"{START}/token"


class Browser:
    """One browser, which has cookies, with one page, which has verifiers.

    Args:
        app: The server.
        origin: Where it is for browsers.
        prefix: What the paths of its API begin with.
    """

    def __init__(self, app: Starlette, origin: str = ORIGIN, prefix: str = "/api") -> None:
        self._start = prefix + START.removeprefix("/api")
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin)
        self.verifier = secrets.token_urlsafe(32)

    def use(self, app: Starlette) -> None:
        """Talk to another node from now on, with the same cookies."""
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(
            transport=transport, base_url=self.http.base_url, cookies=self.http.cookies
        )

    async def begin(self, **parameters: str) -> httpx.Response:
        """Leave for the provider; return the response that says where to."""
        challenge = base64url.encode(hashlib.sha256(self.verifier.encode()).digest())
        return await self.http.get(self._start, params={"challenge": challenge, **parameters})

    async def leave(self, **parameters: str) -> str:
        """Leave for the provider; return its URL."""
        response = await self.begin(**parameters)
        assert response.status_code == 302, response.text
        return str(response.headers["location"])

    async def come_back(self, callback: str) -> str:
        """Come back from the provider; return where the page is then."""
        response = await self.http.get(callback)
        assert response.status_code == 302, response.text
        assert response.headers["cache-control"] == "no-store"
        return str(response.headers["location"])

    async def visit(self, **parameters: str) -> str:
        """Sign in at a provider that asks nothing; return where the page is then."""
        return await self.come_back(await answered(await self.leave(**parameters)))

    async def redeem(self, page: str, **more: Any) -> httpx.Response:
        """Give the code in the page's fragment back."""
        code = parameters_of(page).get("code", "")
        body = {"code": code, "verifier": self.verifier, **more.pop("body", {})}
        return await self.http.post(f"{self._start}/token", json=body, **more)

    async def sign_in(self, **parameters: str) -> dict[str, Any]:
        """Sign in; return the tokens."""
        response = await self.redeem(await self.visit(**parameters))
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens


async def answered(url: str) -> str:
    """Return where a provider that asks nothing sends the browser back to."""
    response = await asyncio.to_thread(httpx.get, url)
    assert response.status_code == 302, response.text
    return str(response.headers["location"])


def parameters_of(page: str) -> dict[str, str]:
    """Return what an address has in its fragment."""
    return dict(parse_qsl(urlsplit(page).fragment.rpartition("?")[2]))


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of a query, each of which is there once."""
    found = parse_qs(urlsplit(url).query)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}
