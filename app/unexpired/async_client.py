"""AsyncClient: drives the policy where there is an event loop, as in a browser."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Mapping,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack

from unexpired.base_client import NO_PROVIDER, BaseClient, check_credentials, token_server_of
from unexpired.content import RequestOptions
from unexpired.effects import Effect, Refresh, Send, Sleep
from unexpired.errors import UnexpiredError, Unreachable
from unexpired.event_stream import EventSource, ServerSentEvent
from unexpired.hints import EXAMINE, probe_hint
from unexpired.messages import Request, Response, ResponseHead
from unexpired.options import ClientOptions, Options
from unexpired.origins import origin_of
from unexpired.ports import (
    Clock,
    LocalLock,
    MemoryStore,
    Navigator,
    NoNavigator,
    NoProver,
    NoSignInPlace,
    PreloadedStore,
    ProbingTransport,
    Prover,
    RefreshLock,
    SignInPlace,
    SystemClock,
    TokenStore,
    Transport,
    open_stream,
)
from unexpired.proofs import KeyLost, Proof, signed
from unexpired.session_manager import SessionManager, new_session_name
from unexpired.session_record import Generation
from unexpired.streams import AsyncResponseStream, Reading
from unexpired.timers import Background, Completion, Wakeup, timeout_after

if TYPE_CHECKING:
    from unexpired.adapters.httpx import AsyncSessionAuth, FetchAdapterTransport
    from unexpired.oidc.async_sign_in import AsyncProviderSignIn

Result = TypeVar("Result")

_log = logging.getLogger("unexpired")

TIMED_OUT = "The server took too long to respond. Please try again."

TICK_INTERVAL = 5.0  # s. Timers stop while a machine sleeps; we notice this long after it wakes.

# The wait for the lock, in refresh_timeouts. A tab that holds it may have stopped running, and must
# not stop the others: the server gives all of them the same result.
LOCK_TIMEOUT_FACTOR = 0.5

# The wait for the lock and the response, in refresh_timeouts: it ends before the callers' wait
# does, so that they find the session degraded, and the next refresh a new one.
WAIT_FACTOR = 0.9

# How long a sign-out waits for the provider to revoke the tokens before the page is left, in s. The
# request goes on: it outlives the page.
LEAVE_TIMEOUT = 2.0


class AsyncClient(BaseClient[Awaitable[Response]]):
    """Calls an API and keeps the person signed in.

    Args:
        transport: Sends the requests.
        store: Stores the session; in memory by default.
        lock: Lets one client at a time refresh; by default among the requests of this client.
        navigator: Redirects to the sign-in page; by default nothing is redirected.
        clock: The time.
        prover: Keeps the keys that sessions are bound to; by default they are bound to none.
        place: Shows people the pages of their identity provider; by default nothing does.
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
        prover: Prover | None = None,
        place: SignInPlace | None = None,
        is_watched: Callable[[], bool] = lambda: True,
        tick: float = TICK_INTERVAL,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._prover: Prover = prover or NoProver()
        settings, clock = Options.of(**options), clock or SystemClock()
        super().__init__(
            SessionManager(
                settings,
                store or MemoryStore(),
                navigator or NoNavigator(),
                clock,
                self._prover.forget,
                token_server=token_server_of(settings, clock),
            )
        )
        self.transport = transport
        self._lock = lock or LocalLock()
        self._is_watched = is_watched
        self._tick = tick
        self._refreshing: Completion[UnexpiredError | None] | None = None
        self._exchange: asyncio.Task[Any] | None = None
        self._refreshed_session = ""  # Whose refresh these two are.
        self._background = Background()
        self._stay_ahead_task: asyncio.Task[None] | None = None
        self._wakeup = Wakeup()
        self._responds: dict[str, bool] = {}  # by origin
        self._closers: list[Callable[[], None]] = []
        self._preloaded = store if isinstance(store, PreloadedStore) else None
        self._is_loaded = False
        self._at_provider = self._provider_sign_in(place or NoSignInPlace())
        self._manager.load()
        for event in ("signed_in", "refreshed", "degraded"):
            self._manager.emitter.on(event, self._wakeup.wake_all)

    def _provider_sign_in(self, place: SignInPlace) -> AsyncProviderSignIn | None:
        if self._manager.options.provider is None:
            return None
        from unexpired.oidc.async_sign_in import AsyncProviderSignIn  # noqa: PLC0415 - few need it

        # Also where a page that comes back finishes a sign-in: somebody else may have been here.
        self._manager.emitter.on("signed_in", self._report_ends)
        return AsyncProviderSignIn(
            self._manager,
            place,
            drive=self._drive,
            start=self._background.start,
            new_key=self._new_key,
            is_watched=self._is_watched,
        )

    @classmethod
    def in_browser(
        cls,
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client on the browser's fetch, storage, locks and navigation.

        Args:
            transport: Sends the requests instead of the page's fetch.
            clock: The time, instead of the device's.
            **options: See ``Options``.
        """
        from unexpired.browser import connect  # noqa: PLC0415 - JavaScript exists only in a page

        return connect(cls, transport=transport, clock=clock, **options)

    @classmethod
    def on_desktop(
        cls,
        *,
        store: TokenStore | None = None,
        transport: Transport | None = None,
        clock: Clock | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client for a program: on urllib, with the session stored in a file.

        Args:
            store: Stores the session; by default a file of the user's, one for each API.
            transport: Sends the requests instead of urllib.
            clock: The time, instead of the device's.
            **options: See ``Options``; ``base_url`` is the API's address.
        """
        from unexpired.desktop import connect  # noqa: PLC0415 - needs the extra `desktop`

        return connect(cls, store=store, transport=transport, clock=clock, **options)

    @classmethod
    def in_process(cls, **options: Unpack[ClientOptions]) -> Self:
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
        reading = manager.reading(request, options)
        stream = await self._open(request, reading, reading.silence)
        try:
            response = await stream.aread()
        finally:
            stream.abandon()
        await self._call_hooks("response", response)
        return response

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> AsyncIterator[AsyncResponseStream]:
        """Make one request, for an ``async with`` block that reads its response as it arrives.

        A token that has expired is refreshed before the block begins; in it the token no longer
        matters. Leaving the block abandons what has not been read.

        Args:
            method: The HTTP method.
            url: Absolute, or relative to the base URL or the page.
            **options: See ``RequestOptions``.

        Raises what ``request`` raises.
        """
        request = self._manager.request(method, url, options)
        reading = self._manager.reading(request, options)
        async with aclosing(await self._open(request, reading, reading.silence)) as stream:
            await self._call_hooks("response", stream)
            yield stream

    def events(
        self, url: str, *, last_event_id: str = "", **options: Unpack[RequestOptions]
    ) -> AsyncGenerator[ServerSentEvent, None]:
        """Iterate over server-sent events (HTML Standard, section 9.2), for as long as it takes.

        A connection that ends is made again, with the last event's id and a fresh token, after the
        time that the server has set, at first 3 s; during an outage ever later, or as its
        ``Retry-After`` asks. Leaving the loop, or ``aclose()``, closes the connection. When the
        person signs out, or another one signs in, it ends with ``SessionEnded``.

        Args:
            url: Absolute, or relative to the base URL or the page.
            last_event_id: The id of the event after which the stream goes on.
            **options: See ``RequestOptions``. ``timeout`` bounds the wait for each connection. If
                it is given here, it bounds the silence between events as well, after which the
                connection is made again.

        Raises:
            BadReply: If the server refuses (4xx), or what it sends is no stream of events.
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            ValueError: If the URL or the id cannot be sent.
        """
        request = self._manager.request("GET", url, options)
        reading = self._manager.reading(request, options)
        quiet = reading if "timeout" in options else replace(reading, silence=None)
        source = EventSource(last_event_id, random.random)
        return self._events(source, request, quiet, reading.silence)

    async def _events(
        self, source: EventSource, request: Request, reading: Reading, seconds: float | None
    ) -> AsyncGenerator[ServerSentEvent, None]:
        watch = self._manager.watch(request)
        while True:
            asked_for = 0.0
            try:
                opening = self._open(source.request(request), reading, seconds)
                async with aclosing(await opening) as stream:
                    await self._call_hooks("response", stream)
                    if not source.connect(stream.head, self._manager.policy.clock.now()):
                        return
                    with watch.connected(stream.abandon):
                        async for piece in stream.aiter_bytes():
                            for event in source.feed(piece):
                                watch.check()
                                yield event
                                watch.check()
            except Unreachable as error:
                asked_for = self._asked_for(error)
            watch.check()
            delay = source.next_delay()
            await asyncio.sleep(asked_for)  # Nothing wakes it: the server asked for that long.
            await self._wakeup.sleep(max(delay - asked_for, 0.0))
            await self._reload()
            watch.check()

    def _asked_for(self, error: Unreachable) -> float:
        """Return the seconds that the server asked to wait before the next connection.

        An error from before the stream names its request, and may have our own back-off.
        """
        is_ours = error.request is not None
        return (self.retry_after if is_ours else error.retry_after) or 0.0

    async def _call_hooks(
        self, event: Literal["request", "response"], message: Request | ResponseHead
    ) -> None:
        """Call the user's hooks, and await those that are coroutine functions."""
        for hook in self._manager.options.event_hooks[event]:
            returned = hook(message)
            if inspect.isawaitable(returned):
                await returned

    # -- The session ---------------------------------------------------------------------------

    async def ready(self) -> Self:
        """Start to maintain the session: refresh it early, and follow other tabs.

        With a provider it also finishes a sign-in that the page was opened with, and shows where
        the person was.

        Raises:
            SignInFailed: If that sign-in did not work, and nobody is signed in.
            Unreachable: If the provider cannot be reached to finish it.
        """
        task = self._stay_ahead_task
        if task is None or task.done() or task.cancelling():
            self._stay_ahead_task = asyncio.ensure_future(self._stay_ahead())
        await self._reload()
        return self

    async def sign_in(
        self, username: str | None = None, password: str | None = None, **fields: Any
    ) -> None:
        """Sign in, with a username and a password or at the provider.

        With a provider a page is left for it and does not come back to this call: the next
        ``ready()`` finishes the sign-in. It takes ``hint``, a name or an address to fill in;
        ``prompt``, such as ``"login"`` (OpenID Connect Core 1.0, section 3.1.2.1); ``max_age``, how
        long ago the person may have signed in there, in seconds; ``popup=True`` for a window of its
        own, or in a worker a function that shows the address it is called with as a link; and
        ``device``, a function that shows where to enter which code (RFC 8628); what it returns is
        awaited if it can be.

        Args:
            username: The person's name.
            password: The person's password.
            **fields: Further fields of the request's body, such as ``otp="123456"``; with a
                provider what is named above.

        Raises:
            BadCredentials: If the username or the password is wrong.
            SecondStepRequired: If the server asks for a second step, such as a one-time code. Sign
                in again with what it asks for, or ``adopt`` the tokens.
            SignInFailed: If the sign-in at the provider did not work.
            TypeError: If a further field is one that the client sends itself, or cannot be sent; if
                a provider is given a password, or this project's server none.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If the server refuses for another reason.
        """
        check_credentials(self._manager.options, username, password)
        if self._at_provider is not None:
            await self._at_provider.sign_in(**fields)
            return
        await self._reload()
        policy = self._manager.policy
        async with self._holding_cookie():
            key = await self._new_key() if self._manager.options.sends_proofs else None
            name = new_session_name()
            await self._drive(policy.sign_in(name, username or "", password or "", fields, key))
        self._report_ends()  # Nobody has to wait for the end of another session.

    async def adopt(self, tokens: Response | Mapping[str, Any]) -> None:
        """Start a session with tokens from a sign-up, a magic link or elsewhere.

        It is as after ``sign_in``: a session that was there before is replaced and ended.

        Args:
            tokens: A successful response in the names of the dialect, or a mapping such as its
                JSON, in the names of the dialect or of this project's own server.

        Raises:
            BadReply: If the response has no usable access token.
            SignInFailed: If they have an ID token which is not of the provider and for this client.
            ValueError: If the mapping has none.
            TypeError: If it is neither a ``Response`` nor a mapping.
        """
        await self._reload()
        self._manager.adopt(tokens)
        self._report_ends()

    async def token(self) -> str:
        """Return the access token, refreshed if it is due, as for a request.

        For a WebSocket or the code of others. Get a new one for each use: this one expires. It is
        a secret: never put it into a URL, a log or a store.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the token has expired and cannot be refreshed now.
        """
        await self._reload()
        await self._in_time(self._drive(self._manager.policy.ensure_token()))
        return self._manager.session.require().tokens.access_token

    async def _in_time(self, work: Awaitable[Result]) -> Result:
        """Do what needs the session, as a request does: within ``timeout``, else it redirects."""
        try:
            async with timeout_after(self._manager.options.timeout):
                return await work
        except TimeoutError:
            raise Unreachable(TIMED_OUT) from None
        except UnexpiredError as error:
            self._manager.redirect_if_signed_out(error)
            raise

    async def proof(self, method: str, url: str) -> str | None:
        """Return a proof for one request or WebSocket of others, to send beside the token.

        A server that binds access tokens to keys (``DPOP=all``) wants one with each use of
        ``token()``: in the header ``DPoP``, or in a WebSocket's first message. It holds for the
        token that ``token()`` has just returned, and can be used once.

        Args:
            method: The HTTP method; of a WebSocket it is ``GET``.
            url: Absolute, or relative to the base URL or the page.

        Returns None where calls need no proof.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired, or its key is gone.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the key cannot be used now.
        """
        await self._reload()
        manager = self._manager
        url = manager.options.resolve(url)
        proof = manager.policy.proof_for(url, manager.session.require())
        if proof is None:
            return None
        try:
            return await self._sign(method.upper(), url, proof)
        except KeyLost:
            await self._drive(manager.policy.end_without_key(proof))
            raise  # Never: what ends the session raises.

    async def userinfo(self) -> Mapping[str, Any]:
        """Return what the provider knows of the user (OpenID Connect Core 1.0, section 5.3).

        ``user`` has what it said at the sign-in; this asks it now.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the provider cannot be reached.
            BadReply: If it refuses, or what it sends is of another user.
            TypeError: If the client has no provider.
        """
        await self._reload()
        if self._at_provider is None:
            raise TypeError(NO_PROVIDER)
        return await self._in_time(self._at_provider.userinfo())

    def take_draft(self) -> str:
        """Return what the option ``draft`` kept when the person left for the provider, once.

        It is empty if there is nothing, and for any other person than the one who was signed in
        when they left.

        Raises:
            TypeError: If the client has no provider.
        """
        if self._at_provider is None:
            raise TypeError(NO_PROVIDER)
        return self._at_provider.take_draft()

    async def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached.

        With a provider the page is then left for it, which ends its own session and sends the
        person back, unless ``post_logout_redirect_uri`` is None.
        """
        await self._reload()
        # At once, whatever the server's part waits for.
        record = self._manager.session.sign_out("here")
        self._manager.commit()
        if self._at_provider is None:
            await self._report_to_server()
            return
        seconds = LEAVE_TIMEOUT if self._manager.options.page_url else None
        report = self._background.start(self._report_to_server())
        await Completion(report).is_reached_within(seconds)
        await self._at_provider.sign_out(record)

    async def refresh(self) -> None:
        """Refresh the tokens now.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the server refuses.
            SessionEnded: If the session was signed out in the meantime.
            Unreachable: If no usable response came.
        """
        await self._reload()
        stale = self._manager.session.require().generation
        await self._refresh(Refresh(stale, self._manager.options.refresh_timeout))

    def diagnose(self) -> dict[str, Any]:
        """Return facts that help to find a fault, without secrets; see ``BaseClient``."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    async def examine(self) -> dict[str, Any]:
        """Return ``diagnose()``, after a look at other origins that seemed not to respond.

        A browser reports a lost connection and a refusal by CORS alike. So a page sends each such
        origin one request without CORS, token and cookies, once in a client's life, and the
        failures' reasons then say which of the two it was.
        """
        diagnosis = self.diagnose()
        if isinstance(self.transport, ProbingTransport):
            for failure in diagnosis["last_failures"]:
                await self._examine(failure, self.transport)
        return diagnosis

    async def _examine(self, failure: dict[str, Any], transport: ProbingTransport) -> None:
        origin = origin_of(failure["url"])
        if origin is None or EXAMINE not in failure["reason"]:
            return
        if origin not in self._responds:
            self._responds[origin] = await transport.probe(f"{origin}/")
        failure["reason"] = probe_hint(
            origin,
            failure["method"],
            page_url=self._manager.options.page_url,
            responds=self._responds[origin],
        )

    def wake(self, *, resume: bool = False) -> None:
        """Read the store and the clock again, as when another tab stored something.

        Args:
            resume: Whether the page is visible again or the network is back. This ends the
                back-off, but not the server's ``Retry-After``.
        """
        if resume:
            self._manager.session.resume()
            self._manager.page_shown()
            self._report_ends()
        self._manager.reload()
        if resume and self._at_provider is not None:
            self._at_provider.page_shown()
        self._wakeup.wake_all()

    def close(self) -> None:
        """Stop maintaining the session; it stays stored, and requests still work."""
        while self._closers:
            self._closers.pop(0)()
        if self._stay_ahead_task is not None:
            self._stay_ahead_task.cancel()

    async def aclose(self) -> None:
        """Close the client, as ``close`` does, and wait until nothing maintains the session."""
        self.close()
        if self._stay_ahead_task is not None:
            await asyncio.wait({self._stay_ahead_task})

    async def __aenter__(self) -> Self:
        return await self.ready()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

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

    async def _reload(self) -> None:
        """Take over what others have stored, from a store that may have to be read ahead."""
        if self._preloaded is not None:
            await self._preloaded.preload()
            if not self._is_loaded:  # As when a page opens, the stored session is no news.
                self._is_loaded = True
                self._manager.load()
        self._manager.reload()
        if self._at_provider is not None:
            await self._at_provider.finish()

    # -- The driver ----------------------------------------------------------------------------

    async def exchange(self, request: Request) -> AsyncGenerator[Send, Response]:
        """Make one request that another HTTP library sends; for adapters.

        Yields each ``Send`` and is sent its response; ends with the last one. Raises what
        ``request`` raises.
        """
        await self._reload()
        flow = self._manager.policy.call(self._manager.with_idempotency_key(request))
        try:
            async with aclosing(self._steps(flow)) as steps:
                send = await anext(steps)
                while True:
                    send = await steps.asend((yield send))
        except StopAsyncIteration:
            return
        except UnexpiredError as error:
            error.note_request(request)
            self._manager.redirect_if_signed_out(error)
            raise

    async def _open(
        self, request: Request, reading: Reading, seconds: float | None
    ) -> AsyncResponseStream:
        """Make one request; return the response when its head has arrived in time."""
        await self._call_hooks("request", request)
        if request.auth:
            await self._reload()
        opening = _Opening(self.transport)
        try:
            async with timeout_after(seconds):
                key = await self._key_for(request)
                await self._drive(self._manager.policy.call(request, key), opening.receive)
        except BaseException as error:
            opening.close()
            if isinstance(error, TimeoutError):
                late = Unreachable(TIMED_OUT)
                self._manager.note_no_response(request, late)
                raise late from None
            if isinstance(error, UnexpiredError):
                error.note_request(request)
                self._manager.redirect_if_signed_out(error)
            raise
        return opening.finish(reading)

    async def _drive(
        self,
        flow: Generator[Effect, Any, Any],
        send_request: Callable[[Send], Awaitable[Response]] | None = None,
    ) -> None:
        """Run a flow to its end.

        Args:
            flow: The flow.
            send_request: Performs its ``Send`` effects; by default the transport does.
        """
        send_request = send_request or self._send
        async with aclosing(self._steps(flow)) as steps:
            try:
                send = await anext(steps)
                while True:
                    try:
                        response = await send_request(send)
                    except UnexpiredError as error:
                        send = await steps.athrow(error)
                    else:
                        send = await steps.asend(response)
            except StopAsyncIteration:
                return

    async def _steps(self, flow: Generator[Effect, Any, Any]) -> AsyncGenerator[Send, Response]:
        """Perform the effects of a flow, except that each ``Send`` is yielded."""
        manager = self._manager
        effect: Effect | None = None
        outcome: Response | None = None
        try:
            effect = next(flow)
            while True:
                manager.commit()
                outcome = None
                try:
                    if isinstance(effect, Send):
                        proof = effect.proof
                        outcome = yield await self._proved(effect, proof) if proof else effect
                    else:
                        await self._wait(effect)
                except (UnexpiredError, KeyLost) as error:
                    manager.reload_after(effect)
                    effect = flow.throw(error)
                else:
                    manager.reload_after(effect)
                    effect = flow.send(outcome)
        except StopIteration:
            return
        except UnexpiredError as error:
            if isinstance(effect, Send):
                error.note_exchange(effect.request, outcome)
            raise
        finally:
            flow.close()
            manager.commit()

    async def _proved(self, send: Send, proof: Proof) -> Send:
        """Return a request with what it must prove."""
        request = send.request
        try:
            async with timeout_after(send.timeout):
                text = await self._sign(request.method, request.url, proof)
        except TimeoutError:
            raise Unreachable from None
        return Send(request.with_header("dpop", text), send.timeout)

    async def _sign(self, method: str, url: str, proof: Proof) -> str:
        key = await self._prover.open(proof.key)
        message = self._manager.draft(key.public, method, url, proof)
        return signed(message, await key.sign(message))

    async def _key_for(self, request: Request) -> str | None:
        """Return a new key for a request that is the application's own sign-in."""
        if request.auth != "sign_in" or not self._manager.options.proves_sign_in(request):
            return None
        return await self._new_key()

    async def _new_key(self) -> str | None:
        key = await self._prover.create()
        self._manager.session.unbound_because = None if key else "no_key"
        return key

    async def _wait(self, effect: Sleep | Refresh) -> None:
        if isinstance(effect, Refresh):
            await self._refresh(effect)
        elif effect.is_wakeable:
            await self._wakeup.sleep(effect.seconds)
        else:
            await asyncio.sleep(effect.seconds)

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
        refreshing, session = self._refreshing, effect.stale.session
        if session != self._refreshed_session:  # That of a session which was replaced is no help.
            self._refreshed_session, self._exchange, refreshing = session, None, None
        if refreshing is None or refreshing.task.done():
            task = asyncio.ensure_future(self._renew(effect.stale))
            refreshing = self._refreshing = Completion(task)
        if not await refreshing.is_reached_within(effect.within):
            raise Unreachable
        if error := refreshing.task.result():
            raise copy(error) from error.__cause__  # Each waiter notes its own request.

    async def _renew(self, stale: Generation) -> UnexpiredError | None:
        """Refresh under the lock; return the error, if there is one, for all who wait."""
        manager, clock = self._manager, self._manager.policy.clock
        deadline = clock.monotonic() + manager.options.refresh_timeout * WAIT_FACTOR
        try:
            if not manager.policy.server.dialect.sends_attempts:
                exchange = self._start_exchange(lambda: self._renew_by_itself(stale))
                await self._wait_for(exchange, stale, deadline - clock.monotonic())
                return None
            async with self._try_to_lock() as is_locked:
                manager.reload()
                if not manager.session.is_stale(stale):
                    flow = manager.policy.renew(is_locked=is_locked)
                    exchange = self._start_exchange(lambda: self._drive(flow))
                    await self._wait_for(exchange, stale, deadline - clock.monotonic())
        except UnexpiredError as error:
            return error
        return None

    async def _renew_by_itself(self, stale: Generation) -> None:
        """Refresh at a server that takes no attempts, under the lock for as long as that takes.

        Such a server may take a second refresh beside a slow one for a theft, and end the session
        (RFC 9700, section 4.14.2). So no other tab may begin one before this one is over.
        """
        manager = self._manager
        async with self._try_to_lock(manager.options.exchange_timeout) as is_locked:
            manager.reload()
            if not manager.session.is_stale(stale):
                await self._drive(manager.policy.renew(is_locked=is_locked))

    @asynccontextmanager
    async def _holding_cookie(self) -> AsyncIterator[None]:
        """Let nothing refresh while a block may replace or clear the session's cookie.

        The response to a refresh that is under way would bring the older cookie back.
        """
        async with AsyncExitStack() as stack:
            if self._manager.options.uses_cookie:
                timeout = self._manager.options.refresh_timeout
                await stack.enter_async_context(self._try_to_lock(timeout))
            yield

    @asynccontextmanager
    async def _try_to_lock(self, within: float | None = None) -> AsyncIterator[bool]:
        """Hold the lock if it can be had in time; yield whether no other tab can refresh now."""
        if within is None:
            within = self._manager.options.refresh_timeout * LOCK_TIMEOUT_FACTOR
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._lock.hold(within))
                is_locked = getattr(self._lock, "is_shared", True)
            except Unreachable:
                is_locked = False
            yield is_locked or not self._manager.shares_its_store

    def _start_exchange(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[Any]:
        """Return the request for new tokens, which goes on when nobody waits for it anymore."""
        exchange, dialect = self._exchange, self._manager.policy.server.dialect
        # Where the server takes attempts, a second one is safe beside one that hangs.
        if exchange is None or exchange.done() or dialect.sends_attempts:
            exchange = self._exchange = self._background.start(work())
        return exchange

    async def _wait_for(
        self, exchange: asyncio.Task[Any], stale: Generation, seconds: float
    ) -> None:
        """Wait for an exchange, and note it if it is slow. Its result is used however late."""
        if await Completion(exchange).is_reached_within(seconds):
            exchange.result()
            return
        manager = self._manager
        manager.session.note_failed_refresh(stale, manager.policy.clock.monotonic(), None)
        manager.commit()
        raise Unreachable

    def _report_ends(self) -> None:
        if self._manager.session.unreported:
            self._background.start(self._report_to_server())

    async def _report_to_server(self) -> None:
        async with self._holding_cookie():
            await self._drive(self._manager.policy.report_ends())

    async def _stay_ahead(self) -> None:
        """Maintain the session for as long as the page is open, whatever a step raises."""
        policy = self._manager.policy
        while True:
            try:
                await self._drive(policy.stay_ahead(tick=self._tick, is_watched=self._is_watched))
            except Exception as error:  # noqa: BLE001 - nothing may end it; a token is in no name
                _log.warning("the session could not be maintained: %s", type(error).__name__)
            await asyncio.sleep(self._tick)


class _Opening:
    """The responses to one request as streams: the last is the caller's, the others are closed.

    Args:
        transport: Sends the request, as often as it must be sent.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stream: AsyncResponseStream | None = None

    async def receive(self, send: Send) -> Response:
        """Send a request; return what the policy looks at."""
        self.close()
        self._stream = await open_stream(self._transport, send.request)
        return await self._stream.preview()

    def finish(self, reading: Reading) -> AsyncResponseStream:
        """Return the last response."""
        if self._stream is None:
            raise RuntimeError("nothing was sent")
        self._stream.read_as(reading)
        return self._stream

    def close(self) -> None:
        """Abandon the response that has arrived so far."""
        if self._stream is not None:
            self._stream.abandon()
