"""The host's events that wake a client: visible again, online again, another tab's storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import js
from pyodide.ffi import create_proxy

from unexpired.browser.host import has_document, js_global


class Wakeable(Protocol):
    """A client that reads the store and the clock again when it is woken."""

    def wake(self, *, resume: bool = False) -> None:
        """Read the store and the clock again; ``resume`` also ends the back-off."""

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call this function when the client is closed."""


def is_visible() -> bool:
    """Return whether the page is visible; where there is no page, Python works for someone."""
    return not has_document() or bool(js.document.visibilityState == "visible")


def wake_on_events(client: Wakeable) -> Callable[[], None]:
    """Wake the client at the host's events; return a function that stops this."""

    def on_return(_event: Any) -> None:
        if is_visible():
            client.wake(resume=True)

    def on_storage(_event: Any) -> None:
        client.wake()

    returning, stored = create_proxy(on_return), create_proxy(on_storage)
    bindings = (
        ("document", "visibilitychange", returning),
        ("self", "online", returning),
        ("self", "pageshow", returning),  # also from the back-forward cache
        ("self", "storage", stored),
    )
    targets = [(js_global(host), name, js_listener) for host, name, js_listener in bindings]
    bound = [binding for binding in targets if hasattr(binding[0], "addEventListener")]
    for js_target, name, js_listener in bound:
        js_target.addEventListener(name, js_listener)

    def stop() -> None:
        for js_target, name, js_listener in bound:
            js_target.removeEventListener(name, js_listener)
        returning.destroy()
        stored.destroy()

    return stop
