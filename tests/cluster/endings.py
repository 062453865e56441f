"""Verifies that what has ended stays ended: each node is asked, past the proxy."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import time
from dataclasses import dataclass

from tests.cluster.connections import Connection, Failed, Response
from tests.cluster.ledger import HeldSession, Ledger, Survivor
from tests.cluster.nodes import WORKERS, Node
from tests.cluster.topology import LEEWAY_SECONDS, Cluster

SPREAD_SECONDS = 5.0
"""How long an ended session's access token may be accepted by another worker, as DESIGN says."""

TIMES = 2 * WORKERS
"""How often a node is asked, on new connections, so that each worker is probably among them."""

EVERY = 16
"""One in so many tokens that expire is checked, for there are many."""

AT_ONCE = 4


@dataclass(frozen=True)
class Ending:
    """Tokens that must be refused from a time on, in monotonic seconds.

    Attributes:
        expires: When the access token is refused for its age, so that its end proves nothing.
    """

    session: HeldSession
    why: str
    access: str
    refresh: str | None
    due: float
    expires: float = math.inf


class Endings:
    """Asks for each ended token when it is due, and once more when the fault is over.

    Args:
        cluster: Has the nodes, and the proxy, where refresh tokens are tried.
        ledger: Takes what was accepted.
    """

    def __init__(self, cluster: Cluster, ledger: Ledger) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._all: list[Ending] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._turn = itertools.count()
        self._found: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._all)

    def ended(self, session: HeldSession, why: str = "signed out") -> None:
        """A session's end was acknowledged just now."""
        if not session.has_ended:
            session.has_ended = True
            due = time.monotonic() + SPREAD_SECONDS
            expires = session.expires_at + LEEWAY_SECONDS
            self._add(Ending(session, why, session.access, session.refresh, due, expires))

    def expires(self, session: HeldSession, access: str) -> None:
        """An access token was replaced, and will expire."""
        if access != session.access and next(self._turn) % EVERY == 0:
            # The token is at most as old as the session's newest one.
            due = session.expires_at + LEEWAY_SECONDS + 1
            self._add(Ending(session, "expired", access, None, due))

    async def check_again(self) -> None:
        """Check all that has ended by now, also what was checked before the fault was over."""
        ended = [one for one in self._all if one.refresh is not None]
        await asyncio.sleep(max((one.due - time.monotonic() for one in ended), default=0))
        await asyncio.gather(*map(self._check, ended))

    def close(self) -> None:
        """Check nothing more."""
        for task in self._tasks:
            task.cancel()

    def _add(self, ending: Ending) -> None:
        self._all.append(ending)
        task = asyncio.create_task(self._check_when_due(ending))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check_when_due(self, ending: Ending) -> None:
        await asyncio.sleep(ending.due - time.monotonic())
        await self._check(ending)

    async def _check(self, ending: Ending) -> None:
        async with self._limit:
            nodes = self._cluster.nodes if time.monotonic() < ending.expires else ()
            for node in nodes:
                await self._check_access(ending, node)
            if ending.refresh is not None:
                await self._check_refresh(ending, ending.refresh)

    async def _check_refresh(self, ending: Ending, token: str) -> None:
        body = {"refreshToken": token, "attempt": secrets.token_urlsafe(16)}
        response = await _answer(_unknown_client(self._cluster.port), "POST", "/api/refresh", body)
        if response is not None and response.status == 200:
            self._accepted(ending, f"{ending.why}, refreshed", is_in_use=True)

    async def _check_access(self, ending: Ending, node: Node) -> None:
        for _ in range(TIMES):
            connection = _unknown_client(node.port)
            response = await _answer(connection, "GET", "/api/me", token=ending.access)
            if response is None:
                return
            if response.status == 200:
                what = f"{ending.why}, accepted by {node.name}"
                self._accepted(ending, what, is_in_use=await self._cluster.uses(node))
                return

    def _accepted(self, ending: Ending, what: str, *, is_in_use: bool) -> None:
        if (ending.access, what) not in self._found:
            self._found.add((ending.access, what))
            found = self._ledger.survivors if is_in_use else self._ledger.unused
            found.append(Survivor(ending.session, what))


def _unknown_client(port: int) -> Connection:
    """Return a connection from an address that no client has, for the rate limits."""
    return Connection(port, f"127.8.{secrets.randbelow(250)}.{1 + secrets.randbelow(250)}")


async def _answer(
    connection: Connection, method: str, path: str, body: object = None, token: str | None = None
) -> Response | None:
    try:
        return await connection.ask(method, path, body, token)
    except Failed:
        return None
    finally:
        connection.close()
