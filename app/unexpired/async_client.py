"""AsyncClient: the driver of the policy where there is an event loop, as in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from unexpired.base_client import BaseClient
from unexpired.errors import UnexpiredError, Unreachable
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.policy import Effect, Refresh, Send, Sleep
from unexpired.ports import (
    Clock,
    LocalLock,
    MemoryStore,
    Navigator,
    NoNavigator,
    RefreshLock,
    SystemClock,
    TokenStore,
    Transport,
)
from unexpired.session import Generation
from unexpired.session_manager import RequestOptions, SessionManager, fresh_name
from unexpired.timers import Wakeup, timeout_after

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, Auth

TICK = 5.0  # s. Timers stop while a machine sleeps; this long after it wakes we notice.
LOCK_PATIENCE = 2.0  # times refresh_timeout: longer than one holder may need, so nobody steals it.


class AsyncClient(BaseClient[Awaitable[Response]]):
    """Calls an API and keeps the person signed in.

    Args:
        transport: sends the requests.
        store: keeps the session; in memory by default.
        lock: lets one refresh at a time; among the calls of this client by default.
        navigator: takes the person to the sign-in page; nowhere by default.
        clock: tells the time.
        is_watched: whether a person looks; refreshes ahead of need are made only then.
        tick: how often the clock is looked at, in seconds.
        **options: see ``Options``.
    """

    def __init__(  # noqa: PLR0913 - the ports, each with a default
        self,
        transport: Transport,
        *,
        store: TokenStore | None = None,
        lock: RefreshLock | None = None,
        navigator: Navigator | None = None,
        clock: Clock | None = None,
        is_watched: Callable[[], bool] = lambda: True,
        tick: float = TICK,
        **options: Any,
    ) -> None:
        super().__init__(
            SessionManager(
                Options(**options),
                store or MemoryStore(),
                navigator or NoNavigator(),
                clock or SystemClock(),
            )
        )
        self.transport = transport
        self._lock = lock or LocalLock()
        self._is_watched = is_watched
        self._tick = tick
        self._renewal: asyncio.Task[UnexpiredError | None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._wakeup = Wakeup()
        self._closers: list[Callable[[], None]] = []
        self._manager.load()
        for event in ("signed_in", "refreshed", "degraded"):
            self._manager.emitter.on(event, self._wakeup.wake_all)

    @classmethod
    def in_browser(cls, *, transport: Transport | None = None, **options: Any) -> Self:
        """Return a client on the browser's fetch, storage, locks and navigation.

        Args:
            transport: sends the requests, in place of the page's fetch.
            **options: see ``Options``.
        """
        from unexpired.browser import connect  # noqa: PLC0415 - there is no JavaScript elsewhere

        return connect(cls, transport=transport, **options)

    @classmethod
    def on_desktop(
        cls, *, store: TokenStore | None = None, transport: Transport | None = None, **options: Any
    ) -> Self:
        """Return a client for a program: on urllib, with the session kept in a file.

        Args:
            store: keeps the session; by default a file of the user's, for this API alone.
            transport: sends the requests, in place of urllib.
            **options: see ``Options``; ``base_url`` is the API's address.
        """
        from unexpired.desktop import connect  # noqa: PLC0415 - needs what only programs have

        return connect(cls, store=store, transport=transport, **options)

    # -- Calls ---------------------------------------------------------------------------------

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one call; a non-2xx reply is data, not an error.

        Args:
            method: the HTTP method.
            url: absolute, or relative to the base URL or the page.
            **options: see ``RequestOptions``.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the session's time is over.
            SessionEnded: if the session was revoked or signed out.
            Unreachable: if no answer came, or not in time.
            ReplayImpossible: if the call must be repeated and its body is spent.
            ValueError: if the URL or the body cannot be sent.
        """
        manager = self._manager
        request = manager.request(method, url, options)
        manager.reload()
        try:
            async with timeout_after(options.get("timeout", manager.options.timeout)):
                return cast("Response", await self._drive(manager.policy.call(request)))
        except TimeoutError:
            raise Unreachable("The server took too long to answer. Please try again.") from None
        except UnexpiredError as error:
            manager.redirect_if_signed_out(error)
            raise

    # -- The session ---------------------------------------------------------------------------

    async def ready(self) -> Self:
        """Start to look after the session: renew ahead of need, hear of other tabs."""
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._stay_ahead())
        self._manager.reload()
        return self

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in.

        Raises:
            BadCredentials: if the name or the password is wrong.
            RateLimited: if there were too many tries.
            Unreachable: if no usable answer came.
            BadReply: if the server refuses for another reason.
        """
        await self._drive(self._manager.policy.sign_in(fresh_name(), username, password))

    async def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self._manager.reload()
        await self._drive(self._manager.policy.sign_out())

    async def refresh(self) -> None:
        """Renew the tokens now.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the server refuses.
            SessionEnded: if the session was signed out meanwhile.
            Unreachable: if no usable answer came.
        """
        self._manager.reload()
        stale = self._manager.session.require().generation
        await self._refresh(Refresh(stale, self._manager.options.refresh_timeout))

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    def wake(self, *, resume: bool = False) -> None:
        """Look at the store and the clock anew: the page is seen again, or another tab wrote.

        Args:
            resume: the network may be back, so our own pause is over (a server's is not).
        """
        if resume:
            self._manager.session.resume()
            self._manager.page_shown()
        self._manager.reload()
        self._wakeup.wake_all()

    def close(self) -> None:
        """Stop looking after the session; it stays stored."""
        for closer in self._closers:
            closer()
        if self._watch is not None:
            self._watch.cancel()

    def on_close(self, closer: Callable[[], None]) -> None:
        """Have something undone when the client is closed."""
        self._closers.append(closer)

    def httpx_auth(self) -> Auth:
        """Return an ``auth=`` for ``httpx.AsyncClient``: attached, renewed, and retried."""
        from unexpired.adapters.httpx import AsyncSessionAuth  # noqa: PLC0415 - httpx is optional

        return AsyncSessionAuth(self)

    def httpx_transport(self) -> AsyncBaseTransport:
        """Return a ``transport=`` for ``httpx.AsyncClient`` on this client's own, as in a page."""
        from unexpired.adapters.httpx import FetchAdapterTransport  # noqa: PLC0415 - httpx is optional

        return FetchAdapterTransport(self.transport)

    # -- The driver ----------------------------------------------------------------------------

    async def exchange(self, request: Request) -> AsyncGenerator[Send, Response]:
        """Make one call whose requests somebody else sends; for adapters.

        Yields each ``Send`` and is sent its response; ends with the last one. Raises what
        ``request`` raises.
        """
        self._manager.reload()
        flow = self._manager.policy.call(self._manager.with_idempotency_key(request))
        try:
            async with aclosing(self._steps(flow)) as steps:
                send = await anext(steps)
                while True:
                    send = await steps.asend((yield send))
        except StopAsyncIteration:
            return
        except UnexpiredError as error:
            self._manager.redirect_if_signed_out(error)
            raise

    async def _drive(self, flow: Generator[Effect, Any, Any]) -> Response | None:
        """Follow a flow to its end; return the last response."""
        response = None
        async with aclosing(self._steps(flow)) as steps:
            try:
                send = await anext(steps)
                while True:
                    try:
                        response = await self._send(send)
                    except UnexpiredError as error:
                        send = await steps.athrow(error)
                    else:
                        send = await steps.asend(response)
            except StopAsyncIteration:
                return response

    async def _steps(self, flow: Generator[Effect, Any, Any]) -> AsyncGenerator[Send, Response]:
        """Perform the effects of a flow, but yield what is to be sent."""
        manager = self._manager
        try:
            effect = next(flow)
            while True:
                manager.commit()
                outcome: Response | None = None
                try:
                    if isinstance(effect, Send):
                        outcome = yield effect
                    else:
                        await self._wait(effect)
                except UnexpiredError as error:
                    manager.reload()
                    effect = flow.throw(error)
                else:
                    manager.reload()
                    effect = flow.send(outcome)
        except StopIteration:
            return
        finally:
            flow.close()
            manager.commit()

    async def _wait(self, effect: Sleep | Refresh) -> None:
        if isinstance(effect, Sleep):
            await self._wakeup.sleep(effect.seconds)
        else:
            await self._refresh(effect)

    async def _send(self, effect: Send) -> Response:
        try:
            async with timeout_after(effect.timeout):
                return await self.transport.send(effect.request)
        except TimeoutError:
            raise Unreachable from None

    async def _refresh(self, effect: Refresh) -> None:
        """Wait for the one refresh of this page; who gives up leaves it to the others."""
        if self._manager.session.is_stale(effect.stale):
            self._manager.session.record_for(effect.stale)
            return
        task = self._renewal
        if task is None or task.done():
            task = self._renewal = asyncio.ensure_future(self._renew(effect.stale))
        await asyncio.wait({task}, timeout=effect.within)
        if not task.done():
            raise Unreachable
        if error := task.result():
            raise error

    async def _renew(self, stale: Generation) -> UnexpiredError | None:
        manager = self._manager
        try:
            async with self._lock.hold(manager.options.refresh_timeout * LOCK_PATIENCE):
                manager.reload()
                if not manager.session.is_stale(stale):
                    await self._drive(manager.policy.renew())
        except UnexpiredError as error:
            return error
        return None

    async def _stay_ahead(self) -> None:
        await self._drive(
            self._manager.policy.stay_ahead(tick=self._tick, is_watched=self._is_watched)
        )
