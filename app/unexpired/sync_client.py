"""Client: drives the policy for code that blocks, in a program, a thread or a page."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing, contextmanager
from contextvars import copy_context
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from unexpired.async_client import LOCK_TIMEOUT_FACTOR, TIMED_OUT, AsyncClient
from unexpired.base_client import NO_PROVIDER, BaseClient, check_credentials, token_server_of
from unexpired.content import RequestOptions
from unexpired.effects import Effect, Refresh, Send, Sleep
from unexpired.errors import UnexpiredError, Unreachable
from unexpired.event_stream import EventSource, ServerSentEvent
from unexpired.messages import Request, Response, ResponseHead
from unexpired.options import ClientOptions, Options, is_coroutine_function
from unexpired.ports import (
    Clock,
    MemoryStore,
    Navigator,
    NoNavigator,
    NoSignInPlace,
    SyncNoProver,
    SyncProver,
    SyncRefreshLock,
    SyncSignInPlace,
    SyncTransport,
    SystemClock,
    ThreadLock,
    TokenStore,
    open_sync_stream,
)
from unexpired.proofs import KeyLost, Proof, signed
from unexpired.session_manager import SessionManager, new_session_name
from unexpired.streams import Reading, ResponseStream

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

    from requests.auth import AuthBase

    import unexpired.adapters.httpx
    from unexpired.oidc.sync_sign_in import SyncProviderSignIn

NO_LIMIT = float("inf")

SHARED = "a shared session brings its store, navigator, clock and options"


class _CallAborted(Exception):  # noqa: N818
    """The call may take no longer. Not an UnexpiredError: a flow would catch that and go on."""

    def __init__(self, reason: Unreachable) -> None:
        super().__init__()
        self.reason = reason


class Client(BaseClient[Response]):
    """Calls an API and keeps the person signed in; the sync twin of ``AsyncClient``.

    It refreshes when a request needs it: nothing runs between the requests. Threads may share it.

    Args:
        transport: Sends the requests.
        session_of: An AsyncClient of this thread, whose session this client shares; its store,
            navigator, clock and options apply, and must not be given here.
        store: Stores the session; in memory by default.
        lock: Lets one client at a time refresh; by default among the threads of this client.
        navigator: Redirects to the sign-in page; by default nothing is redirected.
        clock: The time, and how to sleep.
        prover: Keeps the keys that sessions are bound to; by default they are bound to none.
        place: Shows the person the pages of their identity provider; by default nothing does.
        max_backoff: The longest back-off, in seconds, that a request waits through before raising
            Unreachable; 0 in a page, which would freeze.
        **options: See ``Options``.
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
        prover: SyncProver | None = None,
        place: SyncSignInPlace | None = None,
        max_backoff: float = NO_LIMIT,
        **options: Unpack[ClientOptions],
    ) -> None:
        self._prover: SyncProver = prover or SyncNoProver()
        if session_of is not None and (options or store or navigator or clock):
            raise ValueError(SHARED)
        settings, clock = Options.of(**options), clock or SystemClock()
        super().__init__(
            self._manager_of(session_of)
            if session_of
            else SessionManager(
                settings,
                store or MemoryStore(),
                navigator or NoNavigator(),
                clock,
                self._prover.forget,
                token_server=token_server_of(settings, clock),
            )
        )
        for event, hooks in self._manager.options.event_hooks.items():
            if any(map(is_coroutine_function, hooks)):
                raise TypeError(f"event_hooks: Client cannot await a {event} hook; use AsyncClient")
        self._transport = transport
        self._lock = lock or ThreadLock()
        self._max_backoff = max_backoff
        self._clock = self._manager.policy.clock
        # No other thread may run between reading the session and writing it.
        self._mutex = threading.RLock()
        self._exchange: _Exchange | None = None
        self._exchanged_session = ""  # Whose refresh it is.
        self._waits_since: float | None = None  # For the lock, in monotonic seconds.
        self._at_provider = self._provider_sign_in(place or NoSignInPlace())
        if session_of is None:
            self._manager.load()

    def _provider_sign_in(self, place: SyncSignInPlace) -> SyncProviderSignIn | None:
        if self._manager.options.provider is None:
            return None
        from unexpired.oidc.sync_sign_in import SyncProviderSignIn  # noqa: PLC0415 - few need it

        return SyncProviderSignIn(
            self._manager, place, drive=self._drive, call=self._call, new_key=self._new_key
        )

    @classmethod
    def in_browser(
        cls,
        *,
        session_of: AsyncClient | None = None,
        transport: SyncTransport | None = None,
        clock: Clock | None = None,
        max_backoff: float = 0,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client on the browser's network, storage and navigation.

        Args:
            session_of: The page's AsyncClient, whose session this client shares.
            transport: Sends the requests instead of the page's own network.
            clock: The time, instead of the device's.
            max_backoff: The longest back-off, in seconds, that a request waits through.
            **options: See ``Options``.

        Raises:
            ValueError: If options are given besides ``session_of``, which brings its own.
        """
        from unexpired.browser import connect_sync, share_session  # noqa: PLC0415 - needs a page

        ports: dict[str, Any] = {
            "transport": transport,
            "clock": clock,
            "max_backoff": max_backoff,
        }
        if session_of is None:
            return connect_sync(cls, **ports, **options)
        if options:
            raise ValueError(SHARED)
        return share_session(
            cls,
            session_of.transport,
            cls._manager_of(session_of).options.storage_key,
            session_of._prover,  # noqa: SLF001 - the library's own
            session_of=session_of,
            **ports,
        )

    @classmethod
    def on_desktop(
        cls,
        *,
        store: TokenStore | None = None,
        transport: SyncTransport | None = None,
        clock: Clock | None = None,
        max_backoff: float = NO_LIMIT,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Return a client for a program: on urllib, with the session stored in a file.

        Args:
            store: Stores the session; by default a file of the user's, one for each API.
            transport: Sends the requests instead of urllib.
            clock: The time, instead of the device's.
            max_backoff: The longest back-off, in seconds, that a request waits through.
            **options: See ``Options``; ``base_url`` is the API's address.
        """
        from unexpired.desktop import connect_sync  # noqa: PLC0415 - needs the extra `desktop`

        return connect_sync(
            cls,
            store=store,
            transport=transport,
            clock=clock,
            max_backoff=max_backoff,
            **options,
        )

    @classmethod
    def in_process(cls, **options: Unpack[ClientOptions]) -> Self:
        """Return ``on_desktop(…)``, of which this is the deprecated name."""
        warnings.warn("in_process() is now on_desktop()", DeprecationWarning, stacklevel=2)
        return cls.on_desktop(**options)

    # -- Requests ------------------------------------------------------------------------------

    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response:
        """Make one request; a non-2xx response is data, not an error.

        ``timeout`` never interrupts a refresh: such a call may take ``refresh_timeout`` seconds
        longer. A refresh that takes longer still goes on, and a later call uses its result.

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
        request = self._manager.request(method, url, options)
        reading = self._manager.reading(request, options)
        with closing(self._open(request, reading, reading.silence)) as stream:
            response = stream.read()
        self._call_hooks("response", response)
        return response

    @contextmanager
    def stream(
        self, method: str, url: str, **options: Unpack[RequestOptions]
    ) -> Iterator[ResponseStream]:
        """Make one request, for a ``with`` block that reads its response as it arrives.

        A token that has expired is refreshed before the block begins; in it the token no longer
        matters. Leaving the block abandons what has not been read. In a page whose engine has no
        JSPI, the response is read whole.

        Args:
            method: The HTTP method.
            url: Absolute, or relative to the base URL or the page.
            **options: See ``RequestOptions``.

        Raises what ``request`` raises.
        """
        request = self._manager.request(method, url, options)
        reading = self._manager.reading(request, options)
        with closing(self._open(request, reading, reading.silence)) as stream:
            self._call_hooks("response", stream)
            yield stream

    def events(
        self, url: str, *, last_event_id: str = "", **options: Unpack[RequestOptions]
    ) -> Generator[ServerSentEvent, None, None]:
        """Iterate over server-sent events; see ``AsyncClient.events``.

        Where the client may not wait through a back-off, as in a page, a connection that ends
        raises ``Unreachable`` in place of being made again.

        Args:
            url: Absolute, or relative to the base URL or the page.
            last_event_id: The id of the event after which the stream goes on.
            **options: See ``RequestOptions``, and ``AsyncClient.events`` for ``timeout``.

        Raises:
            BadReply: If the server refuses (4xx), or what it sends is no stream of events.
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the connection ended and the client may not wait for another one.
            TypeError: If the transport cannot stream, as in a page whose engine has no JSPI.
            ValueError: If the URL or the id cannot be sent.
        """
        request = self._manager.request("GET", url, options)
        reading = self._manager.reading(request, options)
        quiet = reading if "timeout" in options else replace(reading, silence=None)
        source = EventSource(last_event_id, random.random)
        return self._events(source, request, quiet, reading.silence)

    def _events(
        self, source: EventSource, request: Request, reading: Reading, timeout: float | None
    ) -> Generator[ServerSentEvent, None, None]:
        watch = self._manager.watch(request)
        while True:
            asked_for = 0.0
            try:
                with closing(self._open(source.request(request), reading, timeout)) as stream:
                    self._call_hooks("response", stream)
                    if not source.connect(stream.head, self._clock.now()):
                        return
                    with watch.connected(stream.close):
                        for piece in stream.iter_bytes():
                            for event in source.feed(piece):
                                watch.check()
                                yield event
                                watch.check()
            except Unreachable as error:
                asked_for = error.retry_after or 0.0
            watch.check()
            delay = max(source.next_delay(), asked_for)
            if delay > self._max_backoff:
                raise Unreachable(retry_after=delay)
            self._clock.sleep(delay)
            self.ready()
            watch.check()

    def _call_hooks(
        self, event: Literal["request", "response"], message: Request | ResponseHead
    ) -> None:
        for hook in self._manager.options.event_hooks[event]:
            hook(message)

    # -- The session ---------------------------------------------------------------------------

    def ready(self) -> Self:
        """Take over what others have stored; nothing is started in the background."""
        with self._mutex:
            self._manager.reload()
        return self

    def sign_in(
        self, username: str | None = None, password: str | None = None, **fields: Any
    ) -> None:
        """Sign in, with a username and a password or at the provider.

        With a provider a program opens the person's browser and waits for it (RFC 8252), or is
        given ``device``, a function that shows where to enter which code (RFC 8628). It takes
        ``hint``, ``prompt`` and ``max_age`` as ``AsyncClient.sign_in`` does. A page signs in with
        an ``AsyncClient``, whose session this client can share.

        Args:
            username: The person's name.
            password: The person's password.
            **fields: Further fields of the request's body, such as ``otp="123456"``; with a
                provider what is named above.

        Raises:
            BadCredentials: If the username or the password is wrong.
            SecondStepRequired: If the server asks for a second step, such as a one-time code. Sign
                in again with what it asks for, or ``adopt`` the tokens.
            TypeError: If a further field is one that the client sends itself, or cannot be sent.
            SignInFailed: If the sign-in at the provider did not work.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If the server refuses for another reason.
        """
        policy = self._manager.policy
        check_credentials(self._manager.options, username, password)
        if self._at_provider is not None:
            self._at_provider.sign_in(**fields)
            self._drive(policy.report_ends())
            return
        with self._holding_cookie():
            key = self._new_key() if self._manager.options.sends_proofs else None
            name = new_session_name()
            self._drive(policy.sign_in(name, username or "", password or "", fields, key))
        self._drive(policy.report_ends())

    def adopt(self, tokens: Response | Mapping[str, Any]) -> None:
        """Start a session with tokens from a sign-up, a magic link or elsewhere.

        It is as after ``sign_in``: a session that was there before is replaced and ended.

        Args:
            tokens: A successful response in the names of the dialect, or a mapping such as its
                JSON, in the names of the dialect or of this project's own server.

        Raises:
            BadReply: If the response has no usable access token.
            ValueError: If the mapping has none.
            TypeError: If it is neither a ``Response`` nor a mapping.
        """
        with self._mutex:
            self._manager.reload()
            self._manager.adopt(tokens)
        self._drive(self._manager.policy.report_ends())

    def token(self) -> str:
        """Return the access token, refreshed if it is due, as for a request.

        For a WebSocket or the code of others. Get a new one for each use: this one expires. It is
        a secret: never put it into a URL, a log or a store.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the token has expired and cannot be refreshed now.
        """
        self._call(self._manager.policy.ensure_token())
        with self._mutex:
            return self._manager.session.require().tokens.access_token

    def proof(self, method: str, url: str) -> str | None:
        """Return a proof to send beside the token, or None; see ``AsyncClient.proof``.

        Args:
            method: The HTTP method; of a WebSocket it is ``GET``.
            url: Absolute, or relative to the base URL or the page.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired, or its key is gone.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the key cannot be used now.
        """
        self.ready()
        manager = self._manager
        url = manager.options.resolve(url)
        with self._mutex:
            proof = manager.policy.proof_for(url, manager.session.require())
        if proof is None:
            return None
        try:
            return self._sign(method.upper(), url, proof)
        except KeyLost:
            self._drive(manager.policy.end_without_key(proof))
            raise  # Never: what ends the session raises.

    def userinfo(self) -> Mapping[str, Any]:
        """Return what the provider knows of the user; see ``AsyncClient.userinfo``."""
        if self._at_provider is None:
            raise TypeError(NO_PROVIDER)
        return self._at_provider.userinfo()

    def sign_out(self) -> None:
        """Sign out: here at once, and at the server if it can be reached."""
        self.ready()
        with self._mutex:  # At once, whatever the server's part waits for.
            self._manager.session.sign_out("here")
            self._manager.commit()
        with self._holding_cookie():
            self._drive(self._manager.policy.report_ends())

    def refresh(self) -> None:
        """Refresh the tokens now.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the server refuses.
            SessionEnded: If the session was signed out in the meantime.
            Unreachable: If no usable response came.
        """
        self.ready()
        within = self._manager.options.refresh_timeout * LOCK_TIMEOUT_FACTOR
        self._refresh(Refresh(self._manager.session.require().generation, within), within)

    def diagnose(self) -> dict[str, Any]:
        """Return facts that help to find a fault, without secrets; see ``BaseClient``."""
        return {**super().diagnose(), "lock": type(self._lock).__name__}

    def close(self) -> None:
        """Do nothing: the session stays stored, and nothing runs in the background."""

    def __enter__(self) -> Self:
        return self.ready()

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- For other HTTP libraries --------------------------------------------------------------

    def opener(self) -> OpenerDirector:
        """Return an opener whose ``open`` is ``urllib.request.urlopen`` within the session."""
        from unexpired.adapters.urllib import SessionOpener  # noqa: PLC0415 - few programs need it

        return SessionOpener(self.request, self._manager.options.resolve)

    def requests_auth(self) -> AuthBase:
        """Return an ``auth=`` for requests: adds the token, refreshes and retries."""
        from unexpired.adapters.requests import SessionAuth  # noqa: PLC0415 - requests is optional

        return SessionAuth(self.exchange, self._manager.options.trusts)

    def httpx_auth(self) -> unexpired.adapters.httpx.SessionAuth:
        """Return an ``auth=`` for the ``Client`` of httpx or httpx2: it adds the token."""
        from unexpired.adapters.httpx import SessionAuth  # noqa: PLC0415 - httpx is optional

        return SessionAuth(self.exchange)

    # -- The driver ----------------------------------------------------------------------------

    def exchange(
        self, request: Request, *, timeout: float | None = None
    ) -> Generator[Send, Response, Response]:
        """Make one request that another HTTP library sends; for adapters.

        Yields each ``Send``, and is sent its response, or has ``Unreachable`` thrown in; returns
        the last response. Raises what ``request`` raises.

        Args:
            request: The request, without its token.
            timeout: Seconds after which to give up; None for no limit.
        """
        keyed = self._manager.with_idempotency_key(request)
        flow = self._manager.policy.call(keyed, self._key_for(request))
        return cast("Response", (yield from self._bounded(flow, timeout, request)))

    def _bounded(
        self,
        flow: Generator[Effect, Any, Any],
        timeout: float | None,
        request: Request | None = None,
    ) -> Generator[Send, Response, Any]:
        """Perform a flow that needs the session, and give up after ``timeout`` seconds."""
        if request is None or request.auth:
            self.ready()
        deadline = self._clock.monotonic() + (NO_LIMIT if timeout is None else timeout)
        try:
            return (yield from self._steps(flow, deadline))
        except _CallAborted as aborted:
            if request is not None:
                self._manager.note_no_response(request, aborted.reason)
            raise aborted.reason from None
        except UnexpiredError as error:
            if request is not None:
                error.note_request(request)
            self._manager.redirect_if_signed_out(error)
            raise

    def _open(self, request: Request, reading: Reading, timeout: float | None) -> ResponseStream:
        """Make one request; return the response when its head has arrived within ``timeout``."""
        self._call_hooks("request", request)
        opening = _Opening(self._transport, self._clock)
        try:
            with closing(self.exchange(request, timeout=timeout)) as steps:
                _run(steps, opening.receive)
        except BaseException:
            opening.close()
            raise
        return opening.finish(reading)

    def _drive(self, flow: Generator[Effect, Any, Any]) -> None:
        self.ready()
        with closing(self._steps(flow, NO_LIMIT)) as steps:
            _run(steps, self._send)

    def _call(self, flow: Generator[Effect, Any, Any]) -> None:
        """Perform a flow that needs the session, as a request does: within ``timeout``."""
        with closing(self._bounded(flow, self._manager.options.timeout)) as steps:
            _run(steps, self._send)

    def _send(self, send: Send) -> Response:
        return self._transport.send(send.request, send.timeout)

    def _steps(
        self, flow: Generator[Effect, Any, Any], deadline: float
    ) -> Generator[Send, Response, Any]:
        """Perform the effects of a flow, except that each ``Send`` is yielded."""
        effect: Effect | None = None
        outcome: Response | None = None
        try:
            effect = self._advance(flow.send, None, None)
            while True:
                try:
                    outcome = yield from self._perform(effect, self._time_left(deadline))
                except (UnexpiredError, KeyLost) as error:
                    outcome = None
                    effect = self._advance(flow.throw, error, effect)
                else:
                    effect = self._advance(flow.send, outcome, effect)
        except StopIteration as done:
            return done.value
        except UnexpiredError as error:
            if isinstance(effect, Send):
                error.note_exchange(effect.request, outcome)
            raise
        finally:
            with self._mutex:
                flow.close()
                self._manager.commit()

    def _advance(self, step: Any, outcome: Any, after: Effect | None) -> Effect:
        """Return the next effect; what others have stored since the last one counts."""
        with self._mutex:
            if after is not None:
                self._manager.reload_after(after)
            effect: Effect = step(outcome)
            self._manager.commit()
        return effect

    def _time_left(self, deadline: float) -> float:
        left = deadline - self._clock.monotonic()
        if left <= 0:
            raise _CallAborted(Unreachable(TIMED_OUT))
        return left

    def _perform(self, effect: Effect, left: float) -> Generator[Send, Response, Response | None]:
        match effect:
            case Send(request, timeout, proof):
                shortest = min(left, NO_LIMIT if timeout is None else timeout)
                if proof is not None:
                    text = self._sign(request.method, request.url, proof)
                    request = request.with_header("dpop", text)
                return (yield Send(request, None if shortest == NO_LIMIT else shortest))
            case Sleep(seconds, is_wakeable=False):
                self._clock.sleep(seconds)
            case Sleep(seconds):
                self._sleep(seconds, left)
            case _:
                self._refresh(effect, left)
        return None

    def _sign(self, method: str, url: str, proof: Proof) -> str:
        key = self._prover.open(proof.key)
        message = self._manager.draft(key.public, method, url, proof)
        return signed(message, key.sign(message))

    def _key_for(self, request: Request) -> str | None:
        """Return a new key for a request that is the application's own sign-in."""
        if request.auth != "sign_in" or not self._manager.options.proves_sign_in(request):
            return None
        return self._new_key()

    def _new_key(self) -> str | None:
        key = self._prover.create()
        with self._mutex:
            self._manager.session.unbound_because = None if key else "no_key"
        return key

    def _sleep(self, seconds: float, left: float) -> None:
        if seconds > self._max_backoff:
            raise _CallAborted(Unreachable(retry_after=seconds))
        self._clock.sleep(min(seconds, left))

    def _refresh(self, effect: Refresh, left: float) -> None:
        """Refresh, unless another client did so while this one waited for the lock."""
        session = self._manager.session
        failures = session.failures
        with self._try_to_lock(min(effect.within, left)) as is_locked:
            self.ready()
            if not session.is_stale(effect.stale):
                self._renew(failures, is_locked=is_locked)
        session.record_for(effect.stale)

    @contextmanager
    def _holding_cookie(self) -> Iterator[None]:
        """Let nothing refresh while a block may change the cookie; see ``AsyncClient``."""
        with ExitStack() as stack:
            if self._manager.options.uses_cookie:
                stack.enter_context(self._try_to_lock(NO_LIMIT))
            yield

    @contextmanager
    def _try_to_lock(self, within: float) -> Iterator[bool]:
        """Hold the lock if it can be had in time; yield whether nobody else can refresh now."""
        with ExitStack() as stack:
            longest = self._manager.options.refresh_timeout * LOCK_TIMEOUT_FACTOR
            try:
                stack.enter_context(self._lock.hold(min(longest, within)))
                is_locked = getattr(self._lock, "is_shared", True)
                self._waits_since = None
            except Unreachable:
                is_locked = False
                self._wait_for_turn()
            yield is_locked or not self._manager.shares_its_store

    def _wait_for_turn(self) -> None:
        """Raise if the refresh of another program may be under way, and must be the only one.

        See ``AsyncClient._renew_by_itself``. A program that keeps the lock for longer than a
        refresh can take has been stopped.

        Raises:
            Unreachable: If it may be.
        """
        if self._manager.policy.server.dialect.sends_attempts:
            return
        now = self._clock.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        if now - self._waits_since < self._manager.options.exchange_timeout:
            self._note_slow_exchange()
            raise Unreachable

    def _renew(self, failures: int, *, is_locked: bool) -> None:
        """Make one attempt, unless one has failed while this client waited for the lock."""
        session = self._manager.session
        if session.failures > failures:
            raise Unreachable
        exchange, self._exchange = self._exchange, None
        name = session.require().generation.session
        if exchange is None or name != self._exchanged_session:
            self._exchanged_session = name
            flow = self._manager.policy.renew(is_locked=is_locked)
            exchange = _Exchange(self._transport, self._steps(flow, NO_LIMIT))
        if not exchange.finish(self._longest_exchange):
            self._exchange = exchange
            self._note_slow_exchange()
            raise Unreachable

    @property
    def _longest_exchange(self) -> float:
        """How long a call waits for a refresh under way, in seconds.

        A server that takes no attempts gives its result only once: a program that ended before it
        came, or another one that asked again, would lose the session.
        """
        options, dialect = self._manager.options, self._manager.policy.server.dialect
        return options.refresh_timeout if dialect.sends_attempts else options.exchange_timeout

    def _note_slow_exchange(self) -> None:
        with self._mutex:
            record = self._manager.session.require()
            self._manager.session.note_failed_refresh(
                record.generation, self._clock.monotonic(), None
            )
            self._manager.commit()


def _run(
    steps: Generator[Send, Response, Response | None], send_request: Callable[[Send], Response]
) -> None:
    """Send what the steps yield."""
    try:
        send = next(steps)
        while True:
            try:
                response = send_request(send)
            except UnexpiredError as error:
                send = steps.throw(error)
            else:
                send = steps.send(response)
    except StopIteration:
        return


class _Opening:
    """The responses to one request as streams: the last is the caller's, the others are closed.

    Args:
        transport: Sends the request, as often as it must be sent.
        clock: The time.
    """

    def __init__(self, transport: SyncTransport, clock: Clock) -> None:
        self._transport = transport
        self._monotonic = clock.monotonic
        self._stream: ResponseStream | None = None

    def receive(self, send: Send) -> Response:
        """Send a request; return what the policy looks at."""
        self.close()
        deadline = self._monotonic() + (NO_LIMIT if send.timeout is None else send.timeout)
        self._stream = open_sync_stream(self._transport, send.request, send.timeout)
        return self._stream.preview(deadline, self._monotonic)

    def finish(self, reading: Reading) -> ResponseStream:
        """Return the last response."""
        if self._stream is None:
            raise RuntimeError("nothing was sent")
        self._stream.read_as(reading)
        return self._stream

    def close(self) -> None:
        """Abandon the response that has arrived so far."""
        if self._stream is not None:
            self._stream.close()


class _Exchange:
    """A refresh whose response may come after the caller has given up; a later call uses it.

    Args:
        transport: Sends the requests.
        steps: The steps of the refresh, which run in the callers' threads.
    """

    def __init__(
        self, transport: SyncTransport, steps: Generator[Send, Response, Response | None]
    ) -> None:
        self._transport = transport
        self._steps = steps
        self._response: Future[Response] | None = None

    def finish(self, seconds: float) -> bool:
        """Wait for the refresh; return whether it is done, and raise what it raises."""
        try:
            while True:
                if self._response is None:
                    self._response = self._start(next(self._steps))
                if not wait([self._response], seconds).done:
                    return False
                self._response = self._start(self._go_on(self._response))
        except StopIteration:
            return True
        except BaseException:
            self._steps.close()
            raise

    def _go_on(self, response: Future[Response]) -> Send:
        error = response.exception()
        if isinstance(error, UnexpiredError):
            return self._steps.throw(error)
        return self._steps.send(response.result())

    def _start(self, send: Send) -> Future[Response]:
        """Send in a thread, which a program does not wait for at its end; a page has none."""
        response: Future[Response] = Future()

        def run() -> None:
            try:
                response.set_result(self._transport.send(send.request, send.timeout))
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                response.set_exception(error)

        try:
            Thread(target=copy_context().run, args=(run,), daemon=True).start()
        except RuntimeError:
            run()
        return response
