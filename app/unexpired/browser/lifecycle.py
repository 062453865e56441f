"""When to look anew: the page is seen again, the network is back, another tab wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import js
from pyodide.ffi import create_proxy

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient


def is_visible() -> bool:
    """Whether the page is in front of somebody."""
    return bool(js.document.visibilityState == "visible")


def attend(client: AsyncClient) -> Callable[[], None]:
    """Wake the client at each event that makes it worth looking; return what stops that."""

    def on_return(_event: Any) -> None:
        if is_visible():
            client.wake(resume=True)

    def on_storage(_event: Any) -> None:
        client.wake()

    returning, stored = create_proxy(on_return), create_proxy(on_storage)
    bindings = (
        (js.document, "visibilitychange", returning),
        (js.window, "online", returning),
        (js.window, "pageshow", returning),  # also from the back-forward cache
        (js.window, "storage", stored),
    )
    for js_target, name, js_listener in bindings:
        js_target.addEventListener(name, js_listener)

    def stop() -> None:
        for js_target, name, js_listener in bindings:
            js_target.removeEventListener(name, js_listener)
        returning.destroy()
        stored.destroy()

    return stop
