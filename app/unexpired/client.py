"""AsyncClient: the driver of the policy where there is an event loop, as in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from .errors import UnexpiredError, Unreachable
from .keeper import CallOptions, Keeper, fresh_name
from .messages import Request, Response
from .options import Options
from .patience import Bell, at_most
from .policy import Effect, Refresh, Send, Sleep
from .ports import (
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
from .session import Generation
from .surface import Surface

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport, Auth

TICK = 5.0  # s. Timers stop while a machine sleeps; this long after it wakes we notice.
LOCK_PATIENCE = 2.0  # times refresh_timeout: longer than one holder may need, so nobody steals it.


class AsyncClient(Surface[Awaitable[Response]]):
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
            Keeper(
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
        self._bell = Bell()
        self._closers: list[Callable[[], None]] = []
        self.keeper.open()
        for event in ("signed_in", "refreshed", "degraded"):
            self.keeper.listeners.on(event, self._bell.ring)

    @classmethod
    def in_browser(cls, *, transport: Transport | None = None, **options: Any) -> Self:
        """Return a client on the browser's fetch, storage, locks and navigation.

        Args:
            transport: sends the requests, in place of the page's fetch.
            **options: see ``Options``.
        """
        from .browser import connect  # noqa: PLC0415 - there is no JavaScript elsewhere

        return connect(cls, transport=transport, **options)

    @classmethod
    def in_process(
        cls, *, store: TokenStore | None = None, transport: Transport | None = None, **options: Any
    ) -> Self:
        """Return a client for a program: on urllib, with the session kept in a file.

        Args:
            store: keeps the session; by default a file of the user's, for this API alone.
            transport: sends the requests, in place of urllib.
            **options: see ``Options``; ``base_url`` is the API's address.
        """
        from .process import connect  # noqa: PLC0415 - needs what only programs have

        return connect(cls, store=store, transport=transport, **options)

    # -- Calls ---------------------------------------------------------------------------------

    async def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> Response:
        """Make one call; a non-2xx reply is data, not an error.

        Args:
            method: the HTTP method.
            url: absolute, or relative to the base URL or the page.
            **options: see ``CallOptions``.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the session's time is over.
            SessionEnded: if the session was revoked or signed out.
            Unreachable: if no answer came, or not in time.
            ReplayImpossible: if the call must be repeated and its body is spent.
            ValueError: if the URL or the body cannot be sent.
        """
        keeper = self.keeper
        request = keeper.request(method, url, options)
        keeper.sync()
        try:
            async with at_most(options.get("timeout", keeper.options.timeout)):
                return cast("Response", await self._drive(keeper.policy.call(request)))
        except TimeoutError:
            raise Unreachable("The server took too long to answer. Please try again.") from None
        except UnexpiredError as error:
            keeper.heed(error)
            raise

    # -- The session ---------------------------------------------------------------------------

    async def ready(self) -> Self:
        """Start to look after the session: renew ahead of need, hear of other tabs."""
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._stay_ahead())
        self.keeper.sync()
        return self

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in.

        Raises:
            BadCredentials: if the name or the password is wrong.
            RateLimited: if there were too many tries.
            Unreachable: if no usable answer came.
            BadReply: if the server refuses for another reason.
        """
        await self._drive(self.keeper.policy.sign_in(fresh_name(), username, password))

    async def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self.keeper.sync()
        await self._drive(self.keeper.policy.sign_out())

    async def refresh(self) -> None:
        """Renew the tokens now.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the server refuses.
            SessionEnded: if the session was signed out meanwhile.
            Unreachable: if no usable answer came.
        """
        self.keeper.sync()
        stale = self.keeper.session.require().generation
        await self._refresh(Refresh(stale, self.keeper.options.refresh_timeout))

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    def wake(self, *, resume: bool = False) -> None:
        """Look at the store and the clock anew: the page is seen again, or another tab wrote.

        Args:
            resume: the network may be back, so our own pause is over (a server's is not).
        """
        if resume:
            self.keeper.session.resume()
            self.keeper.stay()
        self.keeper.sync()
        self._bell.ring()

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
        from .adapters.httpx import AsyncSessionAuth  # noqa: PLC0415 - httpx is optional

        return AsyncSessionAuth(self)

    def httpx_transport(self) -> AsyncBaseTransport:
        """Return a ``transport=`` for ``httpx.AsyncClient`` on this client's own, as in a page."""
        from .adapters.httpx import PortTransport  # noqa: PLC0415 - httpx is optional

        return PortTransport(self.transport)

    # -- The driver ----------------------------------------------------------------------------

    async def exchange(self, request: Request) -> AsyncGenerator[Send, Response]:
        """Make one call whose requests somebody else sends; for adapters.

        Yields each ``Send`` and is sent its response; ends with the last one. Raises what
        ``request`` raises.
        """
        self.keeper.sync()
        flow = self.keeper.policy.call(self.keeper.keyed(request))
        try:
            async with aclosing(self._steps(flow)) as steps:
                send = await anext(steps)
                while True:
                    send = await steps.asend((yield send))
        except StopAsyncIteration:
            return
        except UnexpiredError as error:
            self.keeper.heed(error)
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
        keeper = self.keeper
        try:
            effect = next(flow)
            while True:
                keeper.settle()
                outcome: Response | None = None
                try:
                    if isinstance(effect, Send):
                        outcome = yield effect
                    else:
                        await self._wait(effect)
                except UnexpiredError as error:
                    keeper.sync()
                    effect = flow.throw(error)
                else:
                    keeper.sync()
                    effect = flow.send(outcome)
        except StopIteration:
            return
        finally:
            flow.close()
            keeper.settle()

    async def _wait(self, effect: Sleep | Refresh) -> None:
        if isinstance(effect, Sleep):
            await self._bell.sleep(effect.seconds)
        else:
            await self._refresh(effect)

    async def _send(self, effect: Send) -> Response:
        try:
            async with at_most(effect.timeout):
                return await self.transport.send(effect.request)
        except TimeoutError:
            raise Unreachable from None

    async def _refresh(self, effect: Refresh) -> None:
        """Wait for the one refresh of this page; who gives up leaves it to the others."""
        if self.keeper.session.is_past(effect.stale):
            self.keeper.session.still(effect.stale)
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
        keeper = self.keeper
        try:
            async with self._lock.hold(keeper.options.refresh_timeout * LOCK_PATIENCE):
                keeper.sync()
                if not keeper.session.is_past(stale):
                    await self._drive(keeper.policy.renew())
        except UnexpiredError as error:
            return error
        return None

    async def _stay_ahead(self) -> None:
        await self._drive(
            self.keeper.policy.stay_ahead(tick=self._tick, is_watched=self._is_watched)
        )
