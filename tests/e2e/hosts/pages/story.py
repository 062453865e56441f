"""What a session must live through in every host of Python: two expiries, and a restart."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from typing import get_args

import js

from unexpired import AsyncClient, Client, UnexpiredError
from unexpired.events import EventName

SECONDS = 4.2  # more than two lives of a token


class Notes(logging.Handler):
    """Keeps what the library logs."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.texts.append(record.getMessage())


async def story(base_url: str = "", seconds: float = SECONDS) -> str:
    """Sign in unless that is done, call the API for a while, and return what happened as JSON."""
    try:
        return json.dumps(await _story(base_url, seconds))
    except Exception:  # noqa: BLE001 - the test shows it
        return json.dumps({"failed": traceback.format_exc()})


async def two_clients() -> str:
    """Return what two clients of one store see of each other, as two workers would."""
    try:
        return json.dumps(await _two_clients())
    except Exception:  # noqa: BLE001 - the test shows it
        return json.dumps({"failed": traceback.format_exc()})


async def _two_clients() -> dict[str, object]:
    events: list[str] = []
    one, other = (AsyncClient.in_browser(on_expired="event") for _ in range(2))
    for event in ("signed_in", "refreshed", "signed_out"):
        other.on(event, lambda *details, event=event: events.append(" ".join([event, *details])))
    assert await other.ready() is other
    await one.sign_in("ada", "correct horse battery")
    await _until(lambda: events == ["signed_in"])
    await one.refresh()
    await _until(lambda: events == ["signed_in", "refreshed"])
    shared = one.diagnose()["generation"] == other.diagnose()["generation"]
    status = (await other.get("/api/me")).status_code
    other.close()  # It refreshes no more by itself.
    last = AsyncClient.in_browser(on_expired="event")
    await last.refresh()
    await one.sign_out()
    await _until(lambda: last.state == "anonymous")
    await one.sign_in("ada", "correct horse battery")
    await _until(lambda: last.state == "active")
    js.indexedDB.deleteDatabase("unexpired")
    emptied = await _outcome(one), await _outcome(last)
    await one.sign_in("ada", "correct horse battery")
    return {
        "events": events[:2],
        "shared": shared,
        "status": status,
        "emptied": emptied,
        "afterwards": await _outcome(last),
    }


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.05)


async def _outcome(client: AsyncClient) -> int | str:
    await asyncio.sleep(0.5)
    try:
        return (await client.get("/api/me")).status_code
    except UnexpiredError as error:
        return type(error).__name__


async def sync_client() -> str:
    """Return what two synchronous clients see; the second finds the first one's session."""
    try:
        first = Client.in_browser(on_expired="event")
        first.sign_in("ada", "correct horse battery")
        status = first.get("/api/me").status_code
        await asyncio.sleep(0.5)
        second = Client.in_browser(on_expired="event")
        return json.dumps({"status": status, "second": second.get("/api/me").status_code})
    except Exception:  # noqa: BLE001 - the test shows it
        return json.dumps({"failed": traceback.format_exc()})


async def sync_story(base_url: str = "") -> str:
    """Return the sentence of a synchronous request that cannot be made."""
    client = Client.in_browser(base_url=base_url, storage="memory")
    try:
        client.sign_in("ada", "correct horse battery")
    except ModuleNotFoundError as error:
        return str(error)
    return ""


async def _story(base_url: str, seconds: float) -> dict[str, object]:
    notes, events = Notes(), list[str]()
    logging.getLogger("unexpired").addHandler(notes)
    client = AsyncClient.in_browser(base_url=base_url)
    for event in get_args(EventName):
        client.on(event, lambda *_, event=event: events.append(event))
    await client.ready()
    at_start = client.state
    if at_start == "anonymous":
        await client.sign_in("ada", "correct horse battery")
    statuses: list[int] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end or events.count("refreshed") < 2:
        statuses.append((await client.get("/api/me")).status_code)
        await asyncio.sleep(0.25)
    diagnosis = client.diagnose()
    client.close()
    return {
        "at_start": at_start,
        "statuses": sorted(set(statuses)),
        "calls": len(statuses),
        "events": sorted(set(events)),
        "refreshed": events.count("refreshed"),
        "store": diagnosis["store"],
        "lock": diagnosis["lock"],
        "bound": diagnosis["bound"],
        "notes": notes.texts,
    }
