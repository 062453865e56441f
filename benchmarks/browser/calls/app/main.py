"""The clients in Python: ours, fetch, and pyfetch, with the same methods as in peers.mjs."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any, Literal

import js
from pyodide.ffi import create_proxy, to_js
from pyodide.http import pyfetch  # type: ignore[import-not-found] # Only this page uses it.

from unexpired import AsyncClient

ME = "/api/me"


def js_object(value: dict[str, Any]) -> Any:
    """Return a plain JavaScript object."""
    return to_js(value, dict_converter=js.Object.fromEntries)


class Contender(ABC):
    """A client that requests the current user."""

    username = ""

    @abstractmethod
    async def me(self) -> Any:
        """Make one call."""

    async def sample(self, calls: int) -> float:
        """Return the milliseconds for a call, of several made one after the other."""
        began = js.performance.now()
        for _ in range(calls):
            await self.me()
        return float(js.performance.now() - began) / calls

    async def burst(self, calls: int) -> Any:
        """Return the milliseconds for several calls at once, and how many were lost."""
        began = js.performance.now()
        responses = await self.at_once(calls)
        ms = js.performance.now() - began
        good = [response for response in responses if self._is_good(response)]
        return js_object({"ms": ms, "lost": calls - len(good)})

    async def at_once(self, calls: int) -> list[Any]:
        """Make several calls at once."""
        return await asyncio.gather(*(self.me() for _ in range(calls)), return_exceptions=True)

    def _is_good(self, response: Any) -> bool:
        return isinstance(response, dict) and response.get("username") == self.username


class Fetch(Contender):
    """The browser's fetch."""

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in, and keep the tokens."""
        self.username = username
        self.tokens = await post("/api/login", {"username": username, "password": password})

    async def me(self) -> Any:
        """Make one call."""
        bearer = {"Authorization": f"Bearer {self.tokens['accessToken']}"}
        js_response = await js.fetch(ME, js_object({"headers": bearer}))
        return json.loads(await js_response.text())

    async def at_once(self, calls: int) -> list[Any]:
        """The minimum: one refresh, and one round of calls."""
        self.tokens = await post("/api/refresh", {"refreshToken": self.tokens["refreshToken"]})
        return await super().at_once(calls)


class Pyfetch(Fetch):
    """Pyodide's wrapper of fetch."""

    async def me(self) -> Any:
        """Make one call."""
        bearer = {"Authorization": f"Bearer {self.tokens['accessToken']}"}
        return await (await pyfetch(ME, headers=bearer)).json()


class Unexpired(Contender):
    """Ours, as a page uses it."""

    def __init__(self, key: str, dpop: Literal["auto", "off"] = "auto") -> None:
        self.key = key
        self.client = AsyncClient.in_browser(on_expired="event", storage_key=key, dpop=dpop)

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in."""
        self.username = username
        await self.client.sign_in(username, password)

    async def me(self) -> Any:
        """Make one call."""
        return (await self.client.get(ME)).json()

    async def renew(self, refreshes: int) -> float:
        """Return the milliseconds for a refresh, of several made one after the other."""
        began = js.performance.now()
        for _ in range(refreshes):
            await self.client.refresh()
        return float(js.performance.now() - began) / refreshes

    @property
    def is_bound(self) -> bool:
        """Whether the session is bound to a key of this browser."""
        return bool(self.client.diagnose()["bound"])

    @property
    def access(self) -> str:
        """The access token."""
        return str(self._record["accessToken"])

    def expire(self, access: str) -> None:
        """Replace the token by an expired one; the client knows that it has expired."""
        self._change(accessToken=access, expiresAt=js.Date.now() / 1000 - 1)

    def _change(self, **changes: object) -> None:
        js.localStorage.setItem(self.key, json.dumps({**self._record, **changes}))

    @property
    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(js.localStorage.getItem(self.key))
        return record


class WrongClock(Unexpired):
    """Ours on a device whose clock is wrong, so that only the server's 401 shows the expiry."""

    def expire(self, access: str) -> None:
        """Replace the token by an expired one; the client does not know that it has expired."""
        self._change(accessToken=access)


async def post(path: str, body: dict[str, Any]) -> Any:
    """Send JSON; return the JSON of the response."""
    headers = {"Content-Type": "application/json"}
    init = {"method": "POST", "headers": headers, "body": json.dumps(body)}
    js_response = await js.fetch(path, js_object(init))
    if not js_response.ok:
        raise RuntimeError(f"{path}: {js_response.status}")
    return json.loads(await js_response.text())


def offer(name: str, contender: Contender) -> None:
    """Make a contender available to JavaScript."""
    setattr(js.contenders, name, create_proxy(contender))


offer("fetch, Python", Fetch())
offer("pyfetch, Python", Pyfetch())
offer("ours, Python", Unexpired("told"))
offer("ours, not bound", Unexpired("unbound", dpop="off"))
offer("ours, with a wrong clock", WrongClock("unaware"))
js.document.documentElement.dataset.ready = "true"
