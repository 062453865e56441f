"""AsyncClient: the driver of the policy where there is an event loop, as in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import Any, Self, Unpack

from .errors import UnexpiredError, Unreachable
from .keeper import CallOptions, Keeper, fresh_name
from .listeners import EventName, Listener
from .messages import Response
from .options import Options
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
from .session import Generation, State

TICK = 5.0  # s. Timers stop while a machine sleeps; this long after it wakes we notice.
LOCK_PATIENCE = 2.0  # times refresh_timeout: longer than one holder may need, so nobody steals it.


class AsyncClient:
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
        clock = clock or SystemClock()
        self._transport = transport
        self._lock = lock or LocalLock()
        self._is_watched = is_watched
        self._tick = tick
        self._keeper = Keeper(
            Options(**options), store or MemoryStore(), navigator or NoNavigator(), clock
        )
        self._renewal: asyncio.Task[UnexpiredError | None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closers: list[Callable[[], None]] = []
        self._keeper.open()
        for event in ("signed_in", "refreshed", "degraded"):
            self._keeper.listeners.on(event, self._woken.set)

    @classmethod
    def in_browser(cls, *, transport: Transport | None = None, **options: Any) -> Self:
        """Return a client on the browser's fetch, storage, locks and navigation.

        Args:
            transport: sends the requests, in place of the page's fetch.
            **options: see ``Options``.
        """
        from .browser import connect  # noqa: PLC0415 - there is no JavaScript elsewhere

        return connect(cls, transport=transport, **options)

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
        keeper = self._keeper
        request = keeper.request(method, url, options)
        keeper.sync()
        try:
            async with asyncio.timeout(options.get("timeout", keeper.options.timeout)):
                response: Response = await self._drive(keeper.policy.call(request))
        except TimeoutError:
            raise Unreachable("The server took too long to answer. Please try again.") from None
        except UnexpiredError as error:
            keeper.heed(error)
            raise
        return response

    async def get(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """GET; see ``request``."""
        return await self.request("GET", url, **options)

    async def head(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """HEAD; see ``request``."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """OPTIONS; see ``request``."""
        return await self.request("OPTIONS", url, **options)

    async def post(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """POST; see ``request``."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """PUT; see ``request``."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """PATCH; see ``request``."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[CallOptions]) -> Response:
        """DELETE; see ``request``."""
        return await self.request("DELETE", url, **options)

    # -- The session ---------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """``anonymous``, ``active``, ``refreshing``, ``degraded`` or ``expired``."""
        return self._keeper.session.state

    @property
    def user(self) -> Mapping[str, Any] | None:
        """Who is signed in, or None."""
        return self._keeper.user

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires, or None."""
        return self._keeper.expires_in

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh, or None."""
        return self._keeper.refresh_in

    async def ready(self) -> Self:
        """Start to look after the session: renew ahead of need, hear of other tabs."""
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._stay_ahead())
        self._keeper.sync()
        return self

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in.

        Raises:
            BadCredentials: if the name or the password is wrong.
            RateLimited: if there were too many tries.
            Unreachable: if no usable answer came.
            BadReply: if the server refuses for another reason.
        """
        await self._drive(self._keeper.policy.sign_in(fresh_name(), username, password))

    async def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self._keeper.sync()
        await self._drive(self._keeper.policy.sign_out())

    async def refresh(self) -> None:
        """Renew the tokens now.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the server refuses.
            SessionEnded: if the session was signed out meanwhile.
            Unreachable: if no usable answer came.
        """
        self._keeper.sync()
        stale = self._keeper.session.require().generation
        await self._refresh(Refresh(stale, self._keeper.options.refresh_timeout))

    def on(self, event: EventName, listener: Listener) -> Callable[[], None]:
        """Call the listener at each event; return a function that stops it.

        Args:
            event: ``signed_in``, ``refreshed``, ``expiring`` (with the seconds left), ``expired``
                (with the code), ``signed_out`` (``here`` or ``elsewhere``), ``degraded``,
                ``recovered``.
            listener: a function or a coroutine function.

        Raises:
            ValueError: if there is no such event.
        """
        return self._keeper.listeners.on(event, listener)

    def return_path(self, default: str = "/") -> str:
        """Return the address to show after sign-in: where the person was, or the default.

        It only ever points inside the page's own origin.
        """
        return self._keeper.return_path(default)

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return {**self._keeper.diagnose(), "lock": type(self._lock).__name__}

    def wake(self, *, resume: bool = False) -> None:
        """Look at the store and the clock anew: the page is seen again, or another tab wrote.

        Args:
            resume: the network may be back, so our own pause is over (a server's is not).
        """
        if resume:
            self._keeper.session.resume()
            self._keeper.stay()
        self._keeper.sync()
        self._woken.set()

    def close(self) -> None:
        """Stop looking after the session; it stays stored."""
        for closer in self._closers:
            closer()
        if self._watch is not None:
            self._watch.cancel()

    def on_close(self, closer: Callable[[], None]) -> None:
        """Have something undone when the client is closed."""
        self._closers.append(closer)

    # -- The driver ----------------------------------------------------------------------------

    async def _drive(self, flow: Generator[Effect, Any, Any]) -> Any:
        try:
            effect = next(flow)
            while True:
                self._keeper.settle()
                try:
                    outcome = await self._perform(effect)
                except UnexpiredError as error:
                    self._keeper.sync()
                    effect = flow.throw(error)
                else:
                    self._keeper.sync()
                    effect = flow.send(outcome)
        except StopIteration as done:
            return done.value
        finally:
            self._keeper.settle()

    async def _perform(self, effect: Effect) -> Response | None:
        match effect:
            case Send():
                return await self._send(effect)
            case Sleep(seconds):
                await self._sleep(seconds)
            case Refresh():
                await self._refresh(effect)
        return None

    async def _send(self, effect: Send) -> Response:
        try:
            async with asyncio.timeout(effect.timeout):
                return await self._transport.send(effect.request)
        except TimeoutError:
            raise Unreachable from None

    async def _sleep(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _refresh(self, effect: Refresh) -> None:
        """Wait for the one refresh of this page; who gives up leaves it to the others."""
        if self._keeper.session.is_past(effect.stale):
            self._keeper.session.still(effect.stale)
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
        keeper = self._keeper
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
            self._keeper.policy.stay_ahead(tick=self._tick, is_watched=self._is_watched)
        )
