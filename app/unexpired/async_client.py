"""AsyncClient: drives the policy where there is an event loop, as in a browser."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from unexpired.base_client import BaseClient
from unexpired.content import RequestOptions
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
from unexpired.session_manager import SessionManager, new_session_name
from unexpired.session_record import Generation
from unexpired.timers import Wakeup, timeout_after

if TYPE_CHECKING:
    from unexpired.adapters.httpx import AsyncSessionAuth, FetchAdapterTransport

TIMED_OUT = "The server took too long to respond. Please try again."

TICK_INTERVAL = 5.0  # s. Timers stop while a machine sleeps; we notice this long after it wakes.

# The wait for the lock, in refresh_timeouts: more than one holder needs, so nobody jumps the queue.
LOCK_TIMEOUT_FACTOR = 2.0


class AsyncClient(BaseClient[Awaitable[Response]]):
    """Calls an API and keeps the person signed in.

    Args:
        transport: Sends the requests.
        store: Stores the session; in memory by default.
        lock: Lets one client at a time refresh; by default among the requests of this client.
        navigator: Redirects to the sign-in page; by default nothing is redirected.
        clock: The time.
        is_watched: Returns whether the page is visible; only then is the token refreshed early.
        tick: How often the clock is read, in seconds.
        **options: See ``Options``.
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
        tick: float = TICK_INTERVAL,
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
        self._refresh_task: asyncio.Task[UnexpiredError | None] | None = None
        self._stay_ahead_task: asyncio.Task[None] | None = None
        self._wakeup = Wakeup()
        self._closers: list[Callable[[], None]] = []
        self._manager.load()
        for event in ("signed_in", "refreshed", "degraded"):
            self._manager.emitter.on(event, self._wakeup.wake_all)

    @classmethod
    def in_browser(cls, *, transport: Transport | None = None, **options: Any) -> Self:
        """Return a client on the browser's fetch, storage, locks and navigation.

        Args:
            transport: Sends the requests instead of the page's fetch.
            **options: See ``Options``.
        """
        from unexpired.browser import connect  # noqa: PLC0415 - JavaScript exists only in a page

        return connect(cls, transport=transport, **options)

    @classmethod
    def on_desktop(
        cls, *, store: TokenStore | None = None, transport: Transport | None = None, **options: Any
    ) -> Self:
        """Return a client for a program: on urllib, with the session stored in a file.

        Args:
            store: Stores the session; by default a file of the user's, one for each API.
            transport: Sends the requests instead of urllib.
            **options: See ``Options``; ``base_url`` is the API's address.
        """
        from unexpired.desktop import connect  # noqa: PLC0415 - needs the extra `desktop`

        return connect(cls, store=store, transport=transport, **options)

    @classmethod
    def in_process(cls, **options: Any) -> Self:
        """Return ``on_desktop(…)``, of which this is the deprecated name."""
        warnings.warn("in_process() is now on_desktop()", DeprecationWarning, stacklevel=2)
        return cls.on_desktop(**options)

    # -- Requests ------------------------------------------------------------------------------

    async def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one request; a non-2xx response is data, not an error.

        Args:
            method: The HTTP method.
            url: Absolute, or relative to the base URL or the page.
            **options: See ``RequestOptions``.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If no response came, or not in time.
            ReplayImpossible: If the request must be repeated and its body is used up.
            ValueError: If the URL or the body cannot be sent.
        """
        manager = self._manager
        request = manager.request(method, url, options)
        manager.reload()
        try:
            async with timeout_after(options.get("timeout", manager.options.timeout)):
                return cast("Response", await self._drive(manager.policy.call(request)))
        except TimeoutError:
            raise Unreachable(TIMED_OUT) from None
        except UnexpiredError as error:
            manager.redirect_if_signed_out(error)
            raise

    # -- The session ---------------------------------------------------------------------------

    async def ready(self) -> Self:
        """Start to maintain the session: refresh it early, and follow other tabs."""
        if self._stay_ahead_task is None:
            self._stay_ahead_task = asyncio.ensure_future(self._stay_ahead())
        self._manager.reload()
        return self

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in.

        Raises:
            BadCredentials: If the username or the password is wrong.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If the server refuses for another reason.
        """
        await self._drive(self._manager.policy.sign_in(new_session_name(), username, password))

    async def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self._manager.reload()
        await self._drive(self._manager.policy.sign_out())

    async def refresh(self) -> None:
        """Refresh the tokens now.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the server refuses.
            SessionEnded: If the session was signed out in the meantime.
            Unreachable: If no usable response came.
        """
        self._manager.reload()
        stale = self._manager.session.require().generation
        await self._refresh(Refresh(stale, self._manager.options.refresh_timeout))

    def diagnose(self) -> dict[str, Any]:
        """Return facts that help to find a fault, without secrets."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    def wake(self, *, resume: bool = False) -> None:
        """Read the store and the clock again, as when another tab stored something.

        Args:
            resume: Whether the page is visible again or the network is back. This ends the
                back-off, but not the server's ``Retry-After``.
        """
        if resume:
            self._manager.session.resume()
            self._manager.page_shown()
        self._manager.reload()
        self._wakeup.wake_all()

    def close(self) -> None:
        """Stop maintaining the session; it stays stored."""
        for closer in self._closers:
            closer()
        if self._stay_ahead_task is not None:
            self._stay_ahead_task.cancel()

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call this function when the client is closed."""
        self._closers.append(closer)

    def httpx_auth(self) -> AsyncSessionAuth:
        """Return an ``auth=`` for the ``AsyncClient`` of httpx or httpx2: it adds the token."""
        from unexpired.adapters.httpx import AsyncSessionAuth  # noqa: PLC0415 - httpx is optional

        return AsyncSessionAuth(self.exchange)

    def httpx_transport(self) -> FetchAdapterTransport:
        """Return a ``transport=`` for ``AsyncClient`` of httpx or httpx2: it sends as we do."""
        from unexpired.adapters.httpx import FetchAdapterTransport  # noqa: PLC0415 - httpx is optional

        return FetchAdapterTransport(self.transport)

    # -- The driver ----------------------------------------------------------------------------

    async def exchange(self, request: Request) -> AsyncGenerator[Send, Response]:
        """Make one request that another HTTP library sends; for adapters.

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
        """Run a flow to its end; return the last response."""
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
        """Perform the effects of a flow, except that each ``Send`` is yielded."""
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
        """Wait for the one refresh of this page; a timeout here does not cancel it for others."""
        if self._manager.session.is_stale(effect.stale):
            self._manager.session.record_for(effect.stale)
            return
        task = self._refresh_task
        if task is None or task.done():
            task = self._refresh_task = asyncio.ensure_future(self._renew(effect.stale))
        await asyncio.wait({task}, timeout=effect.within)
        if not task.done():
            raise Unreachable
        if error := task.result():
            raise error

    async def _renew(self, stale: Generation) -> UnexpiredError | None:
        manager = self._manager
        try:
            async with self._lock.hold(manager.options.refresh_timeout * LOCK_TIMEOUT_FACTOR):
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
