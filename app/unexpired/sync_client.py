"""Client: the driver of the policy for code that blocks, in a program, a thread or a page."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from unexpired.async_client import LOCK_PATIENCE, AsyncClient
from unexpired.base_client import BaseClient
from unexpired.errors import SessionExpired, UnexpiredError, Unreachable
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.policy import Effect, Refresh, Send, Sleep
from unexpired.ports import (
    Clock,
    MemoryStore,
    Navigator,
    NoNavigator,
    SyncRefreshLock,
    SyncTransport,
    SystemClock,
    ThreadLock,
    TokenStore,
)
from unexpired.session_manager import RequestOptions, SessionManager, fresh_name

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

    from httpx import Auth
    from requests.auth import AuthBase

FOREVER = float("inf")


class _GivenUp(Exception):  # noqa: N818
    """The call's time is over. Flows must not hear of it: they would try on."""

    def __init__(self, reason: Unreachable) -> None:
        super().__init__()
        self.reason = reason


class Client(BaseClient[Response]):
    """Calls an API and keeps the person signed in; the sync twin of ``AsyncClient``.

    It renews when a call needs it: nothing runs between the calls. Threads may share it.

    Args:
        transport: sends the requests.
        session_of: an AsyncClient of this thread, whose session this one shares; its store,
            navigator, clock and options then count, and none of these may be given.
        store: keeps the session; in memory by default.
        lock: lets one refresh at a time; among the threads that use this client by default.
        navigator: takes the person to the sign-in page; nowhere by default.
        clock: tells the time, and sleeps.
        patience: the longest pause of a back-off that is sat out, in seconds; where it would be
            longer, the call raises Unreachable. A page has none: it would freeze.
        **options: see ``Options``.
    """

    def __init__(  # noqa: PLR0913 - the ports, each with a default
        self,
        transport: SyncTransport,
        *,
        session_of: AsyncClient | None = None,
        store: TokenStore | None = None,
        lock: SyncRefreshLock | None = None,
        navigator: Navigator | None = None,
        clock: Clock | None = None,
        max_backoff: float = FOREVER,
        **options: Any,
    ) -> None:
        if session_of is not None and (options or store or navigator or clock):
            raise ValueError("a shared session brings its store, navigator, clock and options")
        super().__init__(
            session_of._manager
            if session_of
            else SessionManager(
                Options(**options),
                store or MemoryStore(),
                navigator or NoNavigator(),
                clock or SystemClock(),
            )
        )
        self._transport = transport
        self._lock = lock or ThreadLock()
        self._max_backoff = max_backoff
        self._clock = self._manager.policy.clock
        # Between reading the session and writing it no other thread may step in.
        self._turn = threading.RLock()
        if session_of is None:
            self._manager.load()

    @classmethod
    def in_browser(
        cls,
        *,
        session_of: AsyncClient | None = None,
        transport: SyncTransport | None = None,
        **options: Any,
    ) -> Self:
        """Return a client on the browser's network, storage and navigation.

        Args:
            session_of: the page's AsyncClient, whose session this one shares.
            transport: sends the requests, in place of the page's own.
            **options: see ``Options``.
        """
        from unexpired.browser import connect_sync  # noqa: PLC0415 - there is no JavaScript elsewhere

        return connect_sync(cls, session_of=session_of, transport=transport, **options)

    @classmethod
    def on_desktop(
        cls,
        *,
        store: TokenStore | None = None,
        transport: SyncTransport | None = None,
        **options: Any,
    ) -> Self:
        """Return a client for a program: on urllib, with the session kept in a file.

        Args:
            store: keeps the session; by default a file of the user's, for this API alone.
            transport: sends the requests, in place of urllib.
            **options: see ``Options``; ``base_url`` is the API's address.
        """
        from unexpired.desktop import connect_sync  # noqa: PLC0415 - needs what only programs have

        return connect_sync(cls, store=store, transport=transport, **options)

    # -- Calls ---------------------------------------------------------------------------------

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one call; a non-2xx reply is data, not an error.

        A refresh under way is never cut short by ``timeout``, for its reply would be lost: such a
        call may take ``refresh_timeout`` seconds longer.

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
        request = self._manager.request(method, url, options)
        bound = options.get("timeout", self._manager.options.timeout)
        with closing(self.exchange(request, timeout=bound)) as steps:
            return cast("Response", self._answer(steps))

    # -- The session ---------------------------------------------------------------------------

    def ready(self) -> Self:
        """Take over what others did to the store; nothing goes on in the background."""
        with self._turn:
            self._manager.reload()
        return self

    def sign_in(self, username: str, password: str) -> None:
        """Sign in.

        Raises:
            BadCredentials: if the name or the password is wrong.
            RateLimited: if there were too many tries.
            Unreachable: if no usable answer came.
            BadReply: if the server refuses for another reason.
        """
        self._drive(self._manager.policy.sign_in(fresh_name(), username, password))

    def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self.ready()
        self._drive(self._manager.policy.sign_out())

    def refresh(self) -> None:
        """Renew the tokens now.

        Raises:
            NotSignedIn: if there is no session.
            SessionExpired: if the server refuses.
            SessionEnded: if the session was signed out meanwhile.
            Unreachable: if no usable answer came.
        """
        self.ready()
        patience = self._manager.options.refresh_timeout * LOCK_PATIENCE
        self._refresh(Refresh(self._manager.session.require().generation, patience), patience)

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    def close(self) -> None:
        """Do nothing: the session stays stored, and nothing runs that could be stopped."""

    # -- For other people's code ---------------------------------------------------------------

    def opener(self) -> OpenerDirector:
        """Return an opener whose ``open`` is ``urllib.request.urlopen`` within the session."""
        from unexpired.adapters.urllib import SessionOpener  # noqa: PLC0415 - only for who asks for it

        return SessionOpener(self)

    def requests_auth(self) -> AuthBase:
        """Return an ``auth=`` for requests: attached, renewed, and retried."""
        from unexpired.adapters.requests import SessionAuth  # noqa: PLC0415 - requests is optional

        return SessionAuth(self)

    def httpx_auth(self) -> Auth:
        """Return an ``auth=`` for ``httpx.Client``: attached, renewed, and retried."""
        from unexpired.adapters.httpx import SessionAuth  # noqa: PLC0415 - httpx is optional

        return SessionAuth(self)

    # -- The driver ----------------------------------------------------------------------------

    def exchange(
        self, request: Request, *, timeout: float | None = None
    ) -> Generator[Send, Response, Response]:
        """Make one call whose requests somebody else sends; for adapters.

        Yields each ``Send``, and is sent its response, or has ``Unreachable`` thrown in; returns
        the call's response. Raises what ``request`` raises.

        Args:
            request: the call, without its token.
            timeout: seconds after which to give up; None for no bound.
        """
        self.ready()
        deadline = self._clock.monotonic() + (FOREVER if timeout is None else timeout)
        flow = self._manager.policy.call(self._manager.with_idempotency_key(request))
        try:
            return cast("Response", (yield from self._steps(flow, deadline)))
        except _GivenUp as given_up:
            raise given_up.reason from None
        except UnexpiredError as error:
            self._manager.redirect_if_signed_out(error)
            raise

    def _drive(self, flow: Generator[Effect, Any, Any]) -> None:
        with closing(self._steps(flow, FOREVER)) as steps:
            self._answer(steps)

    def _answer(self, steps: Generator[Send, Response, Response | None]) -> Response | None:
        """Send what the steps ask for, to their end."""
        try:
            send = next(steps)
            while True:
                try:
                    response = self._transport.send(send.request, send.timeout)
                except UnexpiredError as error:
                    send = steps.throw(error)
                else:
                    send = steps.send(response)
        except StopIteration as done:
            return cast("Response | None", done.value)

    def _steps(
        self, flow: Generator[Effect, Any, Any], deadline: float
    ) -> Generator[Send, Response, Any]:
        """Perform the effects of a flow, but yield what is to be sent."""
        try:
            effect = self._advance(flow.send, None)
            while True:
                try:
                    outcome = yield from self._perform(effect, self._left(deadline))
                except UnexpiredError as error:
                    effect = self._advance(flow.throw, error)
                else:
                    effect = self._advance(flow.send, outcome)
        except StopIteration as done:
            return done.value
        finally:
            with self._turn:
                flow.close()
                self._manager.commit()

    def _advance(self, step: Any, outcome: Any) -> Effect:
        with self._turn:
            self._manager.reload()
            effect: Effect = step(outcome)
            self._manager.commit()
        return effect

    def _left(self, deadline: float) -> float:
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise _GivenUp(Unreachable("The server took too long to answer. Please try again."))
        return left

    def _perform(self, effect: Effect, left: float) -> Generator[Send, Response, Response | None]:
        match effect:
            case Send(request, timeout):
                bound = min(left, FOREVER if timeout is None else timeout)
                return (yield Send(request, None if bound == FOREVER else bound))
            case Sleep(seconds):
                self._sleep(seconds, left)
            case _:
                self._refresh(effect, left)
        return None

    def _sleep(self, seconds: float, left: float) -> None:
        if seconds > self._max_backoff:
            raise _GivenUp(Unreachable(retry_after=seconds))
        self._clock.sleep(min(seconds, left))

    def _refresh(self, effect: Refresh, left: float) -> None:
        """Refresh, unless somebody else did while this one waited for the lock."""
        session = self._manager.session
        failures = session.failures
        with self._lock.hold(min(effect.within, left)):
            self.ready()
            if not session.is_stale(effect.stale):
                self._renew(failures)
        session.record_for(effect.stale)

    def _renew(self, failures: int) -> None:
        """Make one attempt; who waited for another's shares what came of it."""
        session = self._manager.session
        if (code := session.require().refused) is not None:
            raise SessionExpired(code)
        if session.failures > failures:
            raise Unreachable
        self._drive(self._manager.policy.renew())
