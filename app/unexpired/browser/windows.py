"""Where a person signs in at their provider, and what the page remembers meanwhile.

A page redirects itself (``PageWindow``), which works everywhere. To keep the page, a pop-up opens
at a click (``PopupWindow``); a worker or a notebook, which can open no window, has a link shown
(``LinkWindow``). Those two wait for ``callback/callback.html``, which the provider sends the pop-up
to and which hands its own address over. It has to be on the origin of the page.

A message is taken only if its sender is of this origin, and its URL is the redirect URI with the
``state`` of the address that was visited (RFC 6749, section 10.12). Nothing here ends by itself
because the person takes their time: the client waits for ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import js
from pyodide.code import run_js
from pyodide.ffi import JsException, create_proxy

from unexpired.browser.host import js_global
from unexpired.errors import SignInFailed
from unexpired.oidc.authorization import is_answer, state_of
from unexpired.origins import origin_of

if TYPE_CHECKING:
    from unexpired.ports import PendingStore, SignInWindow

CHANNEL = "unexpired:sign-in"
"""The name of the BroadcastChannel and the type of its messages, as in ``callback.js``."""

STAY_TIMEOUT = 60.0
"""Seconds after which a page that is still shown has not been left."""

POLL = 0.5
"""Seconds between two looks at a pop-up."""

CLOSED_GRACE = 5.0
"""Seconds that the answer of a closed pop-up may be late. If the callback page is cut off by its
Cross-Origin-Opener-Policy, it reads as closed before its script has run."""

CUT_OFF_GRACE = 60.0
"""Seconds until a pop-up counts as closed that was not seen at the provider."""

SURELY_AWAY = 2
"""How often it has to be seen there: Chromium shows it for a moment while it cuts it off."""

WIDTH, HEIGHT = 500, 680

# In JavaScript, because a proxy of another origin's window throws at any access.
_OPEN = """
(width, height) => {
  const left = Math.round(screenX + (outerWidth - width) / 2);
  const top = Math.round(screenY + (outerHeight - height) / 2);
  const features = `popup,width=${width},height=${height},left=${left},top=${top}`;
  const popup = window.open("about:blank", "_blank", features);
  if (!popup || popup.closed) return null;
  return {
    isClosed: () => popup.closed,
    isAway() {
      if (popup.closed) return false;
      try { return popup.location.href !== "about:blank"; } catch { return true; }
    },
    show(url) { popup.location.replace(url); },
    close() { popup.close(); },
  };
}
"""


class PageWindow:
    """The page itself, which is left for the provider.

    Args:
        redirect_uri: Where the provider sends the browser back to.
    """

    def __init__(self, redirect_uri: str) -> None:
        self.redirect_uri = redirect_uri
        self._wait = _Wait()

    async def visit(self, url: str) -> str:
        """Leave the page for this address.

        Raises:
            SignInFailed: ``ABANDONED``, if the page is shown again, from the back-forward cache, or
                is still shown, because the browser has given up the way to the provider.
        """
        with self._wait.start() as answer:
            js.location.assign(url)  # Before the listener: it gives up what was on its way before.
            with _fail_on_return(self._wait):
                await asyncio.wait({answer}, timeout=STAY_TIMEOUT)
            self._wait.fail("ABANDONED")
            return await answer

    def close(self) -> None:
        """Stop waiting; a page that is on its way to the provider is left all the same."""
        self._wait.fail("ABANDONED")


class PopupWindow:
    """A pop-up window, which opens at once: browsers allow that only shortly after a click.

    Args:
        redirect_uri: The address of ``callback.html``, on the origin of this page.
        width: The width of the window, in CSS pixels.
        height: The height of the window.

    Raises:
        SignInFailed: ``POPUP_BLOCKED``, if the browser refuses to open it.
        ValueError: If the redirect URI is on another origin.
    """

    def __init__(self, redirect_uri: str, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        _check_is_ours(redirect_uri)
        self.redirect_uri = redirect_uri
        self._wait = _Wait()
        self._js_popup = run_js(_OPEN)(width, height)
        if not self._js_popup:
            raise SignInFailed("POPUP_BLOCKED")

    async def visit(self, url: str) -> str:
        """Show this address in the pop-up; return the URL that its callback page had.

        The browser does not say whether a pop-up is closed: ``closed`` also reads true while the
        person signs in, as soon as the Cross-Origin-Opener-Policy of this page, the provider or
        the callback page has cut the two windows off (HTML, "browsing context group switch"). So a
        pop-up counts as closed only if, besides, the person is back: this page has the focus, and
        no answer comes for ``CLOSED_GRACE``. If the pop-up was not seen at the provider while it
        was in reach, it has most likely been cut off, and the wait is ``CUT_OFF_GRACE``.

        Raises:
            SignInFailed: ``POPUP_CLOSED``, if the person has closed it.
        """
        with self._wait.start() as answer, _receive(answer, url, self.redirect_uri, js.self):
            if self._js_popup.isClosed():  # Nothing can have cut it off yet.
                self._wait.fail("POPUP_CLOSED")
            else:
                self._js_popup.show(url)
            await self._watch(answer)
            return await answer

    def close(self) -> None:
        """Close the pop-up, unless it is out of reach: then the callback page closes itself."""
        self._js_popup.close()
        self._wait.fail("ABANDONED")

    async def _watch(self, answer: asyncio.Future[str]) -> None:
        """Wait for the answer, or until the pop-up counts as closed."""
        seen_away, back_for = 0, 0.0
        while not answer.done():
            await asyncio.wait({answer}, timeout=POLL)
            seen_away += bool(self._js_popup.isAway())
            grace = CLOSED_GRACE if seen_away >= SURELY_AWAY else CUT_OFF_GRACE
            is_back = self._js_popup.isClosed() and js.document.hasFocus()
            back_for = back_for + POLL if is_back else 0.0
            if back_for >= grace:
                self._wait.fail("POPUP_CLOSED")


class LinkWindow:
    """A link that the application shows, for workers and notebooks, which can open no window.

    Args:
        redirect_uri: The address of ``callback.html``, on the origin of this worker.
        show: Shows a link or a button that opens the address in a new window; may return an
            awaitable.

    Raises:
        ValueError: If the redirect URI is on another origin.
    """

    def __init__(self, redirect_uri: str, show: Callable[[str], object]) -> None:
        _check_is_ours(redirect_uri)
        self.redirect_uri = redirect_uri
        self._show = show
        self._wait = _Wait()

    async def visit(self, url: str) -> str:
        """Have this address shown as a link; return the URL that its callback page had."""
        with self._wait.start() as answer, _receive(answer, url, self.redirect_uri):
            shown = self._show(url)
            if isawaitable(shown):
                await shown
            return await answer

    def close(self) -> None:
        """Stop waiting."""
        self._wait.fail("ABANDONED")


class SessionStoragePending:
    """Sign-ins under way, and a few notes, in this tab's ``sessionStorage``.

    Args:
        key: What the names of all its entries begin with.
    """

    def __init__(self, key: str = "unexpired") -> None:
        self._key = key

    def put(self, state: str, text: str) -> None:
        """Keep a sign-in until the browser is back with its state.

        Raises:
            SignInFailed: ``NO_STORAGE``, if it cannot be kept.
        """
        self.set(f"sign-in:{state}", text)

    def take(self, state: str) -> str | None:
        """Return the sign-in with this state, and forget it; None if there is none."""
        text = self.get(f"sign-in:{state}")
        self.remove(f"sign-in:{state}")
        return text

    def sweep(self, is_old: Callable[[str], bool]) -> None:
        """Forget the sign-ins that nobody came back from.

        Args:
            is_old: Decides by the text that was kept.
        """
        prefix = f"{self._key}:sign-in:"
        for state in [key.removeprefix(prefix) for key in _keys() if key.startswith(prefix)]:
            text = self.get(f"sign-in:{state}")
            if text is not None and is_old(text):
                self.remove(f"sign-in:{state}")

    def get(self, name: str) -> str | None:
        """Return a note, or None.

        Args:
            name: Its name, without the key, such as ``draft``.
        """
        try:
            text = js_global("sessionStorage").getItem(f"{self._key}:{name}")
        except (JsException, AttributeError):  # It is denied or missing.
            return None
        return text if isinstance(text, str) else None

    def set(self, name: str, text: str) -> None:
        """Keep a note.

        Raises:
            SignInFailed: ``NO_STORAGE``, if it cannot be kept.
        """
        with suppress(JsException, AttributeError):  # It is denied, full or missing.
            js_global("sessionStorage").setItem(f"{self._key}:{name}", text)
        if self.get(name) != text:
            raise SignInFailed("NO_STORAGE")

    def remove(self, name: str) -> None:
        """Remove a note, if there is one."""
        with suppress(JsException, AttributeError):
            js_global("sessionStorage").removeItem(f"{self._key}:{name}")


class _Wait:
    """The wait for an answer, which a window ends when it is closed."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[str] | None = None

    @contextmanager
    def start(self) -> Iterator[asyncio.Future[str]]:
        """Yield the answer to come."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        try:
            yield answer
        finally:
            answer.cancel()

    def fail(self, code: str) -> None:
        """End the wait by SignInFailed, if it has not ended."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SignInFailed(code))


@contextmanager
def _fail_on_return(wait: _Wait) -> Iterator[None]:
    """Fail if the page is back from the back-forward cache, or the browser does not leave it."""

    def on_event(js_event: Any) -> None:
        if js_event.type != "pageshow" or js_event.persisted:
            wait.fail("ABANDONED")

    bindings = ((js.self, "pageshow"), (js_global("navigation"), "navigateerror"))
    with _listening(on_event, [(target, name) for target, name in bindings if target is not None]):
        yield


@contextmanager
def _receive(
    answer: asyncio.Future[str], url: str, redirect_uri: str, *js_windows: Any
) -> Iterator[None]:
    """Take the answer to this URL from a callback page's message.

    Args:
        answer: The future of the answer.
        url: The address that is visited.
        redirect_uri: The address of the callback page.
        *js_windows: What receives messages, besides the BroadcastChannel.
    """
    state = state_of(url)
    if state is None:
        raise ValueError("the address has no state")

    def on_message(js_event: Any) -> None:
        found = _url_in(js_event) or ""
        if answer.done() or state_of(found) != state or not is_answer(found, redirect_uri):
            return
        answer.set_result(found)

    js_channel = js.BroadcastChannel.new(CHANNEL)
    try:
        with _listening(on_message, [(target, "message") for target in (js_channel, *js_windows)]):
            yield
    finally:
        js_channel.close()


@contextmanager
def _listening(listener: Callable[[Any], None], bindings: list[tuple[Any, str]]) -> Iterator[None]:
    """Call the listener at these events, by target and name."""
    js_listener = create_proxy(listener)
    for js_target, name in bindings:
        js_target.addEventListener(name, js_listener)
    try:
        yield
    finally:
        for js_target, name in bindings:
            js_target.removeEventListener(name, js_listener)
        js_listener.destroy()


def _url_in(js_event: Any) -> str | None:
    """Return the URL in a message of a callback page of this origin; None for any other message."""
    if js_event.origin != js.origin:
        return None
    js_data = js_event.data
    url = getattr(js_data, "url", None)
    return url if getattr(js_data, "type", None) == CHANNEL and isinstance(url, str) else None


def _check_is_ours(redirect_uri: str) -> None:
    """Refuse an address whose page could not send a message that is taken."""
    if origin_of(redirect_uri) != js.origin:
        raise ValueError(f"redirect_uri must be on {js.origin}, to hand over the answer from there")


def _keys() -> list[str]:
    """Return the names of all entries of ``sessionStorage``."""
    try:
        return [str(key) for key in js.Object.keys(js_global("sessionStorage"))]
    except (JsException, AttributeError):
        return []


if TYPE_CHECKING:
    _windows: tuple[type[SignInWindow], ...] = (PageWindow, PopupWindow, LinkWindow)
    _pending: type[PendingStore] = SessionStoragePending
