"""Calls that return a promise of JavaScript: one turn of the event loop in place of two.

A turn costs 0.04 ms in Chromium and 0.07 ms in Firefox, and Pyodide's loop runs each callback in
one of its own. Its futures have a callback besides the waiting task's: it counts them, for the end
of a program in Node.js. The tasks that wait for them are counted as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any


def promise_of(js_function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the promise of a call, to be awaited.

    Pyodide asks the loop for its future within the call, and is given a plain one.

    Args:
        js_function: The function.
        *arguments: Its arguments.
    """
    loop = asyncio.get_running_loop()
    of_loop = vars(loop)
    of_loop["create_future"] = partial(asyncio.Future, loop=loop)
    try:
        return js_function(*arguments)
    finally:
        del of_loop["create_future"]
