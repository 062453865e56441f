"""Runs the Python that a test sends, in a worker."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import js
from pyodide.code import eval_code_async
from pyodide.ffi import create_proxy, to_js
from pyscript import sync

from unexpired import Request, Response, UnexpiredError
from unexpired.browser.worker import connect, connect_sync

SECONDS = 20  # A test that waits in vain fails instead of hanging.


async def outcome(call: Awaitable[Response]) -> int | list[object]:
    """Return the status of the response, or the name, message and attributes of the error.

    The attribute ``request`` is shown as its method and path; there is no response in a worker.
    """
    try:
        return (await call).status_code
    except (UnexpiredError, ValueError) as error:
        given = {name: value for name, value in vars(error).items() if value is not None}
        attributes = {name: value for name, value in given.items() if name != "__notes__"}
        if isinstance(request := attributes.get("request"), Request):
            attributes["request"] = f"{request.method} {urlsplit(request.url).path}"
        return [type(error).__name__, str(error), attributes]


async def run(source: str) -> str:
    """Run a test's code, which may await; return the value of its last line as JSON."""
    async with asyncio.timeout(SECONDS):
        return json.dumps(await eval_code_async(source, scope))


scope: dict[str, Any] = {
    "asyncio": asyncio,
    "client": connect(),
    "connect_sync": connect_sync,
    "create_proxy": create_proxy,
    "js": js,
    "outcome": outcome,
    "to_js": to_js,
}
sync.run = run
