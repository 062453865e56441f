"""A page and a program without a browser, in which people sign in at a provider by its forms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Never

from tests.support.form_browser import FormBrowser
from unexpired import AsyncClient, Client, MemoryStore
from unexpired.desktop.keys import ProgramProver, SyncProgramProver
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport
from unexpired.oidc import Provider
from unexpired.oidc.authorization import cleaned, is_answer
from unexpired.ports import MemoryPending, PendingStore

ORIGIN = "http://127.0.0.1:9"
PAGE = f"{ORIGIN}/app"
CALLBACK = f"{ORIGIN}/callback"
API = "https://notes.example"
"""What the API is called at a provider."""


class FormWindow:
    """A window of the person's browser, which comes back by itself.

    Args:
        browser: The person.
        redirect_uri: Where the provider sends them back to.
    """

    def __init__(self, browser: FormBrowser, redirect_uri: str) -> None:
        self._browser = browser
        self.redirect_uri = redirect_uri

    async def visit(self, url: str) -> str:
        return await asyncio.to_thread(self._browser.visit, url)

    def close(self) -> None:
        """Do nothing."""


class SyncFormWindow(FormWindow):
    """The same for the client that blocks."""

    def visit(self, url: str) -> str:  # type: ignore[override]
        return self._browser.visit(url)


@dataclass
class ProgramPlace:
    """A program, beside whose browser the person sits."""

    browser: FormBrowser
    pending: PendingStore = field(default_factory=MemoryPending)
    window_type: type[FormWindow] = FormWindow

    def window(self, redirect_uri: str, popup: object = None) -> Any:  # noqa: ARG002
        return self.window_type(self.browser, redirect_uri)

    def take_answer(self, redirect_uri: str) -> None:  # noqa: ARG002
        return None

    def show(self, url: str) -> None:
        """Do nothing."""

    def leave(self, url: str) -> None:
        """Do nothing."""


class Tab:
    """A tab of a browser, whose page is left and opened again.

    Args:
        browser: The person.

    Attributes:
        address: What the address bar shows.
        shown: The addresses that the client has shown.
        left_for: The provider's addresses that the page was left for.
    """

    def __init__(self, browser: FormBrowser, address: str = PAGE) -> None:
        self.browser = browser
        self.address = address
        self.pending: PendingStore = MemoryPending()
        self.shown: list[str] = []
        self.left_for: list[str] = []
        self._is_left = asyncio.Event()

    def window(self, redirect_uri: str, popup: object) -> PageWindow:  # noqa: ARG002
        return PageWindow(self, redirect_uri)

    def take_answer(self, redirect_uri: str) -> str | None:
        if not is_answer(self.address, redirect_uri):
            return None
        answer, self.address = self.address, cleaned(self.address)
        return answer

    def show(self, url: str) -> None:
        self.shown.append(url)
        self.address = f"{ORIGIN}{url}"

    def leave(self, url: str) -> None:
        self.left_for.append(url)
        self._is_left.set()

    # -- As the page's navigator ---------------------------------------------------------------

    def here(self) -> str:
        return self.address.removeprefix(ORIGIN)

    def go(self, url: str) -> None:
        self.address = f"{ORIGIN}{url}"

    # -- What a test does ----------------------------------------------------------------------

    async def follow(self) -> None:
        """Wait until the page is left, and go where the provider sends the person."""
        await asyncio.wait_for(self._is_left.wait(), 10)
        self._is_left.clear()
        self.address = await asyncio.to_thread(self.browser.visit, self.left_for[-1])


class PageWindow:
    """The page of a tab, which never comes back to who has left it."""

    def __init__(self, tab: Tab, redirect_uri: str) -> None:
        self._tab = tab
        self.redirect_uri = redirect_uri

    async def visit(self, url: str) -> Never:
        self._tab.leave(url)
        await asyncio.Event().wait()
        raise AssertionError

    def close(self) -> None:
        """Do nothing."""


@dataclass
class Machine:
    """A machine whose browser has tabs, which share what is stored.

    Attributes:
        provider: The provider, as the application describes it.
        options: Further options of the clients.
        person: Who sits there.
    """

    provider: Provider
    options: dict[str, Any]
    person: FormBrowser = field(default_factory=FormBrowser)
    store: MemoryStore = field(default_factory=MemoryStore)
    transport: Any = field(default_factory=lambda: ThreadedTransport(UrllibTransport()))
    clients: list[AsyncClient] = field(default_factory=list)

    def open(self, tab: Tab, **options: Any) -> AsyncClient:
        """Open the page in a tab; the one that was there is gone."""
        given = {"page_url": tab.address, "tick": 0.05, **self.options, **options}
        client = AsyncClient(
            self.transport,
            store=self.store,
            navigator=tab,
            place=tab,
            prover=ProgramProver(),
            provider=self.provider,
            **given,
        )
        self.clients.append(client)
        return client

    async def sign_in(self, tab: Tab, **asked: Any) -> AsyncClient:
        """Sign in by the redirect; return the client of the page that is opened afterwards."""
        await self.leave(self.open(tab).sign_in(**asked), tab)
        return await self.open(tab).ready()

    async def leave(self, leaving: Any, tab: Tab) -> None:
        """Let something leave the page, and follow it to the provider and back."""
        task = asyncio.ensure_future(leaving)
        await tab.follow()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.person.close()


def program(browser: FormBrowser, *, is_sync: bool, **options: Any) -> Any:
    """Return a client of a program."""
    if is_sync:
        place = ProgramPlace(browser, window_type=SyncFormWindow)
        return Client(UrllibTransport(), place=place, prover=SyncProgramProver(), **options)
    return AsyncClient(
        ThreadedTransport(UrllibTransport()),
        place=ProgramPlace(browser),
        prover=ProgramProver(),
        **options,
    )


async def awaited(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a method of either client."""
    result = call(*arguments, **options)
    return await result if asyncio.iscoroutine(result) else result
