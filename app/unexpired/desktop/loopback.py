"""Signing in at a provider from a program: by the system's browser and a loopback address.

RFC 8252, section 7.3: the program listens on this machine only, at a port of its own, for the one
request that brings the provider's answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
import webbrowser
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, suppress
from functools import partial
from threading import RLock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from unexpired.desktop.loopback_page import answer
from unexpired.desktop.loopback_sockets import Connections, listen
from unexpired.errors import SignInFailed
from unexpired.origins import origin_of

if TYPE_CHECKING:
    from unexpired.ports import SignInWindow, SyncSignInWindow

_log = logging.getLogger("unexpired")

TIMEOUT = 600.0  # s. Enough for a second factor, and for a password that was forgotten.
TICK = 0.5  # s. On Windows a wait without an end does not notice Ctrl+C.

_PATH = re.compile(r"/(?!/)(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)  # RFC 3986, 3.3
_ADDRESS = re.compile(
    rf"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([1-9][0-9]{{0,4}}))?({_PATH.pattern})?", re.ASCII
)

Result = TypeVar("Result")


def show_in_terminal(url: str) -> None:
    """Write an address for the person to open to standard error, if the program has one."""
    if sys.stderr is not None:
        sys.stderr.write(f"To sign in, open this address in a browser on this computer:\n\n{url}\n")
        sys.stderr.flush()


class _LoopbackWindow:
    """What both windows share: the address, the wait for the browser, and its end."""

    def __init__(  # noqa: PLR0913 - each with a default
        self,
        redirect_path: str = "/callback",
        *,
        host: str = "",
        port: int = 0,
        open_browser: Callable[[str], bool] = webbrowser.open,
        show: Callable[[str], None] = show_in_terminal,
        timeout: float = TIMEOUT,
    ) -> None:
        if redirect_path and not _PATH.fullmatch(redirect_path):
            raise ValueError("redirect_path is a path, such as /callback")
        try:
            host, self._listeners = listen(host, port)
        except OSError as error:
            raise SignInFailed("NO_LOOPBACK") from error
        port = self._listeners[0].getsockname()[1]
        self.redirect_uri = f"http://{host}:{port}{redirect_path}"
        self._open_browser = open_browser
        self._show = show
        self._timeout = timeout
        self._wakes, self._waker = socket.socketpair()
        self._is_closed = False
        self._closing = (
            RLock()
        )  # When close() returns, the port is free, also if another thread closes it.
        self._receiver: Thread | None = None

    @classmethod
    def of(cls, redirect_uri: str, **options: Any) -> Self:
        """Return a window for the ``redirect_uri`` of a ``Provider``.

        Args:
            redirect_uri: A path, for any free port; or a loopback address as the provider knows it,
                with its port, or without one for any free port. ``/`` stands for ``/callback``.
            **options: Those of the class, except for path, host and port.

        Raises:
            ValueError: If it is neither.
            SignInFailed: If the address cannot be used (``NO_LOOPBACK``).
        """
        if _PATH.fullmatch(redirect_uri):
            return cls("/callback" if redirect_uri == "/" else redirect_uri, **options)
        match = _ADDRESS.fullmatch(redirect_uri)
        if match is None:
            raise ValueError(
                "redirect_uri of a program is a path, or a loopback address such as"
                " http://127.0.0.1:8400/callback"
            )
        host, port, path = match.groups()
        return cls(path or "", host=host, port=int(port or 0), **options)

    def close(self) -> None:
        """End the visit at once, and free the port."""
        self._is_closed = True
        with suppress(OSError):  # It is closed already.
            self._waker.send(b"\0")
        with self._closing:
            if self._receiver is not None:
                self._receiver.join()
            for each in (*self._listeners, self._wakes, self._waker):
                each.close()

    def _start(self, url: str) -> tuple[Future[str], Future[bool]]:
        """Start to wait for the browser, and open it; return what will come of both."""
        state = _state_in(url)
        with self._closing:
            if self._is_closed or self._receiver is not None:
                raise SignInFailed("ABANDONED")
            self._receiver, receiving = _in_thread(partial(self._receive, state))
        _, opening = _in_thread(partial(self._open, url))
        return receiving, opening

    def _open(self, url: str) -> bool:
        """Open the browser; return whether there is one."""
        try:
            return self._open_browser(url)
        except Exception as error:  # noqa: BLE001 - of whatever kind, the person can open it instead
            _log.warning("no browser could be opened: %s", type(error).__name__)
            return False

    def _receive(self, state: str) -> str:
        """Respond to requests until the expected one has come; return its URL."""
        ends_at = monotonic() + self._timeout
        with Connections(self._listeners, self._wakes) as connections:
            while (left := ends_at - monotonic()) > 0 and not self._is_closed:
                for connection, head in connections.wait(left):
                    response = answer(head, redirect_uri=self.redirect_uri, state=state)
                    connections.finish(connection, response.content)
                    if response.url is not None:
                        return response.url
        raise SignInFailed("ABANDONED" if self._is_closed else "SIGN_IN_TIMED_OUT")


class Loopback(_LoopbackWindow):
    """The system's browser, which reports back to this program; see ``SignInWindow``.

    It listens from when it is made until its one visit is over, or it is closed.

    Args:
        redirect_path: The path of its address.
        host: ``127.0.0.1``, ``[::1]`` or ``localhost``; by default the first of these that exists.
            RFC 8252, section 8.3, advises against ``localhost``, but some providers know no other.
        port: The port; by default a free one, which RFC 8252, section 7.3, has providers accept.
        open_browser: Opens the person's browser, and returns whether it could. It is called in a
            thread of its own: a browser in a terminal runs until the person leaves it.
        show: Shows the person an address to open, where no browser could be opened; by default
            ``show_in_terminal``. The address is for this sign-in only: do not log it.
        timeout: Seconds in which the person has to sign in.

    Raises:
        ValueError: If no loopback address has this path, host or port.
        SignInFailed: If the address cannot be used (``NO_LOOPBACK``).
    """

    async def visit(self, url: str) -> str:
        """Open an address in the browser; return the URL that the provider sent it back to.

        Requests without the address's ``state`` do not end the wait: any web page can send one.

        Args:
            url: The provider's address, with the ``state`` of this sign-in in its query.

        Raises:
            ValueError: If it is not such an address.
            SignInFailed: If the person did not sign in in time (``SIGN_IN_TIMED_OUT``), or the
                window is closed (``ABANDONED``).
        """
        with closing(self):
            receiving, opening = self._start(url)
            url_received = asyncio.wrap_future(receiving)
            is_open: asyncio.Future[Any] = asyncio.wrap_future(opening)
            try:
                await asyncio.wait({url_received, is_open}, return_when=asyncio.FIRST_COMPLETED)
                if not url_received.done() and not is_open.result():
                    self._show(url)
                return await url_received
            finally:
                url_received.cancel()  # Else asyncio reports what nobody waits for anymore.


class SyncLoopback(_LoopbackWindow):
    """``Loopback`` for the client that blocks; see there for the arguments."""

    def visit(self, url: str) -> str:
        """Open an address in the browser; return the URL that the provider sent it back to.

        Args:
            url: The provider's address, with the ``state`` of this sign-in in its query.

        Raises:
            ValueError: If it is not such an address.
            SignInFailed: If the person did not sign in in time (``SIGN_IN_TIMED_OUT``), or the
                window is closed (``ABANDONED``).
        """
        with closing(self):
            receiving, opening = self._start(url)
            _wait_for_one(receiving, opening)
            if not receiving.done() and not opening.result():
                self._show(url)
            _wait_for_one(receiving)
            return receiving.result()


def _state_in(url: str) -> str:
    """Return the ``state`` in the query of an address to open.

    Raises:
        ValueError: If the address is none of http or https, or has no single ``state``.
    """
    states = parse_qs(urlsplit(url).query).get("state", [])
    if origin_of(url) is None or len(states) != 1:
        raise ValueError("url is the provider's address, with the state of one sign-in")
    return states[0]


def _in_thread(work: Callable[[], Result]) -> tuple[Thread, Future[Result]]:
    """Start a thread that does not keep the program from ending; return its future result."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()  # Nobody cancels it from now on.

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            future.set_exception(error)

    thread = Thread(target=run, name="unexpired-sign-in", daemon=True)
    thread.start()
    return thread, future


def _wait_for_one(*futures: Future[Any]) -> None:
    while not wait(futures, TICK, FIRST_COMPLETED).done:
        pass


if TYPE_CHECKING:
    _async: type[SignInWindow] = Loopback
    _sync: type[SyncSignInWindow] = SyncLoopback
