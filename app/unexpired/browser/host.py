"""What the host of Python has: a page, a worker, Node.js and Deno differ in their globals.

A name that is there may still be null, or its use denied. So a capability is found by using it.
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import JsProxy

_WITHOUT_PATH = ("about:", "blob:", "data:")
"""Schemes of addresses that relative URLs cannot be joined to."""


def js_global(name: str) -> Any:
    """Return a global object, or None if the host has none.

    Raises:
        JsException: If its use is denied.
    """
    found = getattr(js, name, None)
    return found if isinstance(found, JsProxy) else None


def page_url() -> str:
    """Return the address that relative URLs are joined to; empty if the host has none.

    A worker's is that of its script. One that was started from a blob belongs to an origin too.
    """
    js_location = js_global("location")
    url = "" if js_location is None else str(js_location.href)
    if not url.startswith(_WITHOUT_PATH):
        return url
    origin = str(js.origin)
    return "" if origin == "null" else f"{origin}/"


def has_document() -> bool:
    """Return whether this is a page, which can be seen and can show another address."""
    return js_global("document") is not None


def is_online() -> bool:
    """Return whether there may be a network: only a browser that says "no" is believed."""
    js_navigator = js_global("navigator")
    return js_navigator is None or getattr(js_navigator, "onLine", None) is not False
