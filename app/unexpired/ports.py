"""What the library needs from its environment, as small protocols, and their default forms.

``AsyncClient`` takes the asynchronous form of a port, ``Client`` its ``Sync…`` twin.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from typing import NoReturn, Protocol, TypeGuard, runtime_checkable

from unexpired.errors import Unreachable
from unexpired.messages import Request, Response
from unexpired.proofs import KeyLost
from unexpired.streams import AsyncResponseStream, ResponseStream
from unexpired.timers import timeout_after

_log = logging.getLogger("unexpired")


class Transport(Protocol):
    """Sends a request over the network."""

    async def send(self, request: Request) -> Response:
        """Return the response, whatever its status.

        Cancelling ``send`` abandons the request.

        Raises:
            Unreachable: If no response came.
        """
        ...


class SyncTransport(Protocol):
    """Sends a request over the network, and blocks."""

    def send(self, request: Request, timeout: float | None) -> Response:
        """Return the response, whatever its status.

        Args:
            request: The request to send.
            timeout: Seconds after which to give up; None for no limit.

        Raises:
            Unreachable: If no response came in time.
        """
        ...


@runtime_checkable
class ProbingTransport(Transport, Protocol):
    """A transport that can find out whether an origin responds at all."""

    async def probe(self, url: str) -> bool:
        """Return whether a request without CORS, token and cookies gets a response, in a moment."""
        ...


@runtime_checkable
class StreamingTransport(Transport, Protocol):
    """A transport that hands out a response before its body has arrived.

    A client reads every response of such a transport piece by piece, so that its ``timeout`` bounds
    the wait for the head and the silence within the body. What any other transport sends is read
    whole, and ``timeout`` bounds all of it. Requests for tokens always use ``send``.
    """

    async def open(self, request: Request) -> AsyncResponseStream:
        """Return the response when its head has arrived, whatever its status.

        Cancelling ``open`` abandons the request.

        Raises:
            Unreachable: If no response came.
        """
        ...


@runtime_checkable
class SyncStreamingTransport(SyncTransport, Protocol):
    """``StreamingTransport`` for the client that blocks."""

    def open(self, request: Request, timeout: float | None) -> ResponseStream:
        """Return the response when its head has arrived, whatever its status.

        Args:
            request: The request to send.
            timeout: Seconds after which to give up; None for no limit.

        Raises:
            Unreachable: If no response came in time.
        """
        ...


async def open_stream(transport: Transport, request: Request) -> AsyncResponseStream:
    """Return a response as a stream, of any transport.

    Raises:
        TypeError: If the response has no end, and the transport can only read it whole.
    """
    if _can_stream(transport):
        return await transport.open(request)
    _check_has_end(request)
    return AsyncResponseStream.of(await transport.send(request))


def open_sync_stream(
    transport: SyncTransport, request: Request, timeout: float | None
) -> ResponseStream:
    """``open_stream`` for a transport that blocks."""
    if _can_stream_sync(transport):
        return transport.open(request, timeout)
    _check_has_end(request)
    return ResponseStream.of(transport.send(request, timeout))


def _can_stream(transport: Transport) -> TypeGuard[StreamingTransport]:
    return hasattr(transport, "open")  # ``isinstance`` with a protocol costs as much as a request.


def _can_stream_sync(transport: SyncTransport) -> TypeGuard[SyncStreamingTransport]:
    return hasattr(transport, "open")


def _check_has_end(request: Request) -> None:
    if request.wants_events:
        raise TypeError("events need a transport that can stream: one with open()")


class TokenStore(Protocol):
    """Stores one text: the session, which nobody else may read."""

    def load(self) -> str | None:
        """Return the stored text, or None."""
        ...

    def save(self, text: str) -> None:
        """Replace the stored text, completely or not at all."""
        ...

    def clear(self) -> None:
        """Remove the stored text."""
        ...


@runtime_checkable
class PreloadedStore(TokenStore, Protocol):
    """A store that is read ahead: ``load`` returns what ``preload`` has read."""

    async def preload(self) -> None:
        """Read the stored text, unless that is done."""
        ...


class RefreshLock(Protocol):
    """Lets one client at a time refresh, among all that share the store.

    It saves refreshes and is no condition for one: a client that does not get it in time goes on
    without it. A lock that does not reach all that share the store has ``is_shared = False``.
    """

    def hold(self, timeout: float) -> AbstractAsyncContextManager[None]:
        """Hold the lock for an ``async with`` block.

        Args:
            timeout: The longest wait for it, in seconds.

        Raises:
            Unreachable: If the lock was not free in time.
        """
        ...


class SyncRefreshLock(Protocol):
    """``RefreshLock`` for the client that blocks."""

    def hold(self, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock for a ``with`` block.

        Args:
            timeout: The longest wait for it, in seconds.

        Raises:
            Unreachable: If the lock was not free in time.
        """
        ...


class ProofKey(Protocol):
    """A private key that signs and is never shown."""

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as a JWK (RFC 7517): ``kty``, ``crv``, ``x`` and ``y``."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """Return the signature by ES256 (RFC 7518, section 3.4): ``r`` and ``s``, 64 bytes.

        Raises:
            Unreachable: If the key cannot be used now.
        """
        ...


class SyncProofKey(Protocol):
    """``ProofKey`` for the client that blocks."""

    @property
    def public(self) -> Mapping[str, str]:
        """The public key as a JWK (RFC 7517): ``kty``, ``crv``, ``x`` and ``y``."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the signature by ES256; see ``ProofKey``."""
        ...


class Prover(Protocol):
    """Makes and keeps the keys that sessions are bound to (RFC 9449), one for each session.

    A key is known by its handle, a text of letters, digits, ``-`` and ``_`` that is stored with the
    session.
    """

    async def create(self) -> str | None:
        """Make and keep a key; return its handle, or None where none can be kept."""
        ...

    async def open(self, key: str) -> ProofKey:
        """Return a key.

        Args:
            key: Its handle.

        Raises:
            KeyLost: If it is gone for good.
            Unreachable: If it cannot be read now.
        """
        ...

    def forget(self, key: str) -> None:
        """Remove a key, if it is still there; its session is over."""
        ...


class SyncProver(Protocol):
    """``Prover`` for the client that blocks."""

    def create(self) -> str | None:
        """Make and keep a key; return its handle, or None where none can be kept."""
        ...

    def open(self, key: str) -> SyncProofKey:
        """Return a key; see ``Prover``."""
        ...

    def forget(self, key: str) -> None:
        """Remove a key, if it is still there; its session is over."""
        ...


class NoProver:
    """For clients without keys: their sessions are bound to none."""

    async def create(self) -> str | None:
        """Return None."""
        return None

    async def open(self, key: str) -> ProofKey:  # noqa: ARG002 - it has none
        """Raise, for there is no key.

        Raises:
            KeyLost: Always.
        """
        raise KeyLost

    def forget(self, key: str) -> None:
        """Do nothing."""


class SyncNoProver:
    """``NoProver`` for the client that blocks."""

    def create(self) -> str | None:
        """Return None."""
        return None

    def open(self, key: str) -> SyncProofKey:  # noqa: ARG002 - it has none
        """Raise, for there is no key.

        Raises:
            KeyLost: Always.
        """
        raise KeyLost

    def forget(self, key: str) -> None:
        """Do nothing."""


class Navigator(Protocol):
    """The address of the page, and the way to another one."""

    def here(self) -> str:
        """Return the path, query and hash of the page as it is shown."""
        ...

    def go(self, url: str) -> None:
        """Show another address."""
        ...


class SignInWindow(Protocol):
    """Where a person signs in at their provider: the page itself, a pop-up, the system's browser.

    Attributes:
        redirect_uri: Where the provider sends the browser back to: absolute, exactly as it is
            registered there.
    """

    redirect_uri: str

    async def visit(self, url: str) -> str:
        """Show an address; return the URL that the provider sent the browser back to.

        A page that is left for the address never returns from here. Cancelling the visit gives up.

        Args:
            url: The provider's address, with the ``state`` of this sign-in in its query.

        Raises:
            SignInFailed: If the browser does not come back: in time (``SIGN_IN_TIMED_OUT``), or at
                all (``ABANDONED``, ``POPUP_BLOCKED``, ``POPUP_CLOSED``).
        """
        ...

    def close(self) -> None:
        """Give up the visit, if there is one, and free what it uses."""
        ...


class SyncSignInWindow(Protocol):
    """``SignInWindow`` for the client that blocks.

    Attributes:
        redirect_uri: Where the provider sends the browser back to.
    """

    redirect_uri: str

    def visit(self, url: str) -> str:
        """Show an address; return the URL that the provider sent the browser back to.

        Args:
            url: The provider's address, with the ``state`` of this sign-in in its query.

        Raises:
            SignInFailed: If the browser does not come back; see ``SignInWindow``.
        """
        ...

    def close(self) -> None:
        """Give up the visit, if there is one, and free what it uses."""
        ...


class PendingStore(Protocol):
    """Remembers sign-ins between leaving for the provider and coming back, and a few notes."""

    def put(self, state: str, text: str) -> None:
        """Keep a sign-in until the browser is back with its state.

        Raises:
            SignInFailed: ``NO_STORAGE``, if it cannot be kept.
        """
        ...

    def take(self, state: str) -> str | None:
        """Return the sign-in with this state, and forget it; None if there is none."""
        ...

    def sweep(self, is_old: Callable[[str], bool]) -> None:
        """Forget the sign-ins that nobody came back from.

        Args:
            is_old: Decides by the text that was kept.
        """
        ...

    def get(self, name: str) -> str | None:
        """Return a note, such as ``draft``; None if there is none."""
        ...

    def set(self, name: str, text: str) -> None:
        """Keep a note.

        Raises:
            SignInFailed: ``NO_STORAGE``, if it cannot be kept.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a note, if there is one."""
        ...


class SignInPlace(Protocol):
    """Where a client runs: what can show a person the pages of their identity provider.

    Attributes:
        pending: Keeps what must be remembered until the person comes back.
    """

    pending: PendingStore

    def window(self, redirect_uri: str, popup: bool | Callable[[str], object]) -> SignInWindow:  # noqa: FBT001 - as in sign_in
        """Return a window for one sign-in; it may open at once.

        Args:
            redirect_uri: Where the provider sends the browser back to; a program may have another.
            popup: Whether it is a window of its own; or what shows its address as a link.
        """
        ...

    def take_answer(self, redirect_uri: str) -> str | None:
        """Return the provider's answer that a page was opened with, and take it out of sight."""
        ...

    def show(self, url: str) -> None:
        """Show where the person was: path, query and hash."""
        ...

    def leave(self, url: str) -> None:
        """Leave for a page of the provider's."""
        ...


class SyncSignInPlace(Protocol):
    """``SignInPlace`` for the client that blocks, which is a program's."""

    pending: PendingStore

    def window(self, redirect_uri: str) -> SyncSignInWindow:
        """Return a window for one sign-in; see ``SignInPlace``."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> float:
        """Return Unix seconds by the device's clock, which may be wrong and may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never decrease."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block for ``seconds``; only the sync client calls this."""
        ...


class SystemClock:
    """The machine's clock."""

    now: staticmethod[[], float] = staticmethod(time.time)
    monotonic: staticmethod[[], float] = staticmethod(time.monotonic)
    sleep: staticmethod[[float], None] = staticmethod(time.sleep)


class MemoryStore:
    """A store that lasts until the program ends or the page closes."""

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        """Return the stored text, or None."""
        return self._text

    def save(self, text: str) -> None:
        """Store the text."""
        self._text = text

    def clear(self) -> None:
        """Remove the text."""
        self._text = None


class FallbackStore:
    """A store that keeps the session in memory when another store fails.

    Args:
        store: The store to use as long as it works.
        failure: The error that the store raises when it cannot read, write or remove the text.
        place: The name of the store in log messages.
    """

    def __init__(self, store: TokenStore, failure: type[Exception], place: str) -> None:
        self._store = store
        self._failure = failure
        self._place = place
        self._unsaved: str | None = None  # the text that the store did not take

    def load(self) -> str | None:
        """Return the stored text, or None."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            return self._store.load()
        except self._failure:
            return None

    def save(self, text: str) -> None:
        """Store the text, in memory if the store fails."""
        try:
            self._store.save(text)
        except self._failure as error:
            self._warn("%s cannot be written (%s): the session is kept in memory", error)
            with suppress(self._failure):
                self._store.clear()  # An older session must not come back at the next start.
            self._unsaved = text
        else:
            self._unsaved = None

    def clear(self) -> None:
        """Remove the stored text."""
        self._unsaved = None
        try:
            self._store.clear()
        except self._failure as error:
            self._warn("%s cannot be removed (%s)", error)

    def _warn(self, text: str, error: Exception) -> None:
        # The system's reason where there is one; any other text may quote the session.
        _log.warning(text, self._place, getattr(error, "strerror", None) or type(error).__name__)


class LocalLock:
    """A lock among the clients of one program or page."""

    is_shared: bool = False

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def hold(self, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the port's contract
        """Hold the lock; see ``RefreshLock``."""
        try:
            async with timeout_after(timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise Unreachable from None
        try:
            yield
        finally:
            self._lock.release()


class ThreadLock:
    """A lock among the threads of one program."""

    is_shared: bool = False

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, timeout: float) -> Iterator[None]:
        """Hold the lock; see ``SyncRefreshLock``."""
        if not self._lock.acquire(timeout=timeout):
            raise Unreachable
        try:
            yield
        finally:
            self._lock.release()


class NoNavigator:
    """For programs, which have no pages."""

    def here(self) -> str:
        """Return an empty address."""
        return ""

    def go(self, url: str) -> None:
        """Do nothing."""


class MemoryPending:
    """``PendingStore`` in memory, where the page or the program is not left meanwhile."""

    def __init__(self) -> None:
        self._sign_ins: dict[str, str] = {}
        self._notes: dict[str, str] = {}

    def put(self, state: str, text: str) -> None:
        """Keep a sign-in until the browser is back with its state."""
        self._sign_ins[state] = text

    def take(self, state: str) -> str | None:
        """Return the sign-in with this state, and forget it; None if there is none."""
        return self._sign_ins.pop(state, None)

    def sweep(self, is_old: Callable[[str], bool]) -> None:
        """Forget the sign-ins that nobody came back from."""
        kept = self._sign_ins.items()
        self._sign_ins = {state: text for state, text in kept if not is_old(text)}

    def get(self, name: str) -> str | None:
        """Return a note; None if there is none."""
        return self._notes.get(name)

    def set(self, name: str, text: str) -> None:
        """Keep a note."""
        self._notes[name] = text

    def remove(self, name: str) -> None:
        """Remove a note, if there is one."""
        self._notes.pop(name, None)


class NoSignInPlace:
    """For clients that can show nobody a provider's page; the device grant needs none."""

    def __init__(self) -> None:
        self.pending: PendingStore = MemoryPending()

    def window(self, redirect_uri: str, popup: object = False) -> NoReturn:  # noqa: ARG002, FBT002 - the port's
        """Raise.

        Raises:
            TypeError: Always.
        """
        raise TypeError("sign_in: this client can show no page: give place=, or device=")

    def take_answer(self, redirect_uri: str) -> str | None:  # noqa: ARG002 - the port's
        """Return None."""
        return None

    def show(self, url: str) -> None:
        """Do nothing."""

    def leave(self, url: str) -> None:
        """Do nothing."""
