"""Runs the Python that a test sends, in a page of the tests."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any, get_args

import js
from pyodide.code import eval_code_async
from pyodide.ffi import create_proxy

from unexpired import AsyncClient, Response, UnexpiredError
from unexpired.events import EventName


def open_client(**options: Any) -> AsyncClient:
    """Open a client; put it and the list of its events into the scope of the test's code."""
    events: list[list[object]] = []
    client = AsyncClient.in_browser(**{"login_url": "#/login", **options})
    for event in get_args(EventName):
        client.on(event, lambda *details, event=event: events.append([event, *details]))
    scope.update(client=client, events=events)
    return client


async def outcome(call: Awaitable[object]) -> int | str | None:
    """Return the status of the response, if the call has one, or the name of the error."""
    try:
        response = await call
    except UnexpiredError as error:
        return type(error).__name__
    return response.status_code if isinstance(response, Response) else None


async def run(source: str) -> str:
    """Run a test's code, which may await; return the value of its last line as JSON."""
    return json.dumps(await eval_code_async(source, scope))


scope: dict[str, Any] = {
    "asyncio": asyncio,
    "js": js,
    "json": json,
    "open_client": open_client,
    "outcome": outcome,
}
js.runPython = create_proxy(run)
js.document.documentElement.dataset.ready = "true"
