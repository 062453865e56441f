"""One row being played: the load, the fault in the middle of it, and what it came to."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.cluster.clients import FINAL_SECONDS, Client, User
from tests.cluster.connections import Connection, Failed, ask_once
from tests.cluster.endings import Endings
from tests.cluster.ledger import HeldSession, Ledger
from tests.cluster.processes import ClusterError
from tests.cluster.topology import PASSWORD, Cluster, Options, user_names

WARM_UP_SECONDS = 4.0
WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Length:
    """How long a row takes.

    Attributes:
        clients: How many clients make the load.
        outage: Seconds that a part stays away.
        after: Seconds of load after the fault.
    """

    clients: int
    outage: float
    after: float


@dataclass
class Scene:
    """What a fault may use: the cluster, and words about what happens.

    Attributes:
        notes: Remarks for the table.
        broken: What the row itself expects and did not find, in sentences.
    """

    cluster: Cluster
    ledger: Ledger
    length: Length
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    over_at: float | None = None

    def over(self) -> None:
        """Say that the fault has ended just now; from here on recovery is measured."""
        self.over_at = time.monotonic()

    async def outage(self, at_most: float = math.inf) -> None:
        """Wait as long as a part is to stay away, in seconds."""
        await asyncio.sleep(min(self.length.outage, at_most))

    def expect(self, what: str, *, holds: bool) -> None:
        """Expect something of the server beside what the clients see."""
        if not holds:
            self.broken.append(f"not so: {what}")


Fault = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: Its name on the command line.
        title: What happens.
        fault: Makes it happen; returns when the cluster is to recover by itself.
        options: What the cluster is like.
        ruins: Whether the next row needs a new cluster.
        lacks: Returns why it cannot be played here, or an empty string.
    """

    name: str
    title: str
    fault: Fault
    options: Options = field(default_factory=Options)
    ruins: bool = False
    lacks: Callable[[], str] = str


@dataclass(frozen=True)
class Result:
    """What a row came to."""

    row: Row
    way: str
    ledger: Ledger
    endings: int
    recovery: float | None
    notes: tuple[str, ...]
    broken: tuple[str, ...]

    @classmethod
    def unplayed(cls, row: Row, way: str, why: str, *, is_fault: bool) -> Result:
        """Return the result of a row that could not be played to its end."""
        words = (why,)
        return cls(row, way, Ledger(), 0, None, () if is_fault else words, words * is_fault)

    @property
    def is_good(self) -> bool:
        """Whether no session was lost, no token was alive after its end, and nothing was broken."""
        return not (self.ledger.lost or self.ledger.alive or self.broken)


async def play(row: Row, cluster: Cluster, length: Length, seed: int) -> Result:
    """Play a row on a healthy cluster."""
    scene = Scene(cluster, Ledger(), length)
    endings = Endings(cluster, scene.ledger)
    stop = asyncio.Event()
    cluster.is_damaged |= row.ruins
    watch = asyncio.create_task(_keep_pgbouncer_running(scene))
    try:
        async with _load(scene, endings, stop, seed):
            await asyncio.gather(
                asyncio.sleep(WARM_UP_SECONDS), _operator_ends_sessions(scene, endings)
            )
            if scene.ledger.failures:
                scene.notes.append(f"{len(scene.ledger.failures)} failures before the fault")
            await row.fault(scene)
            if scene.over_at is None:
                scene.over()
            await asyncio.sleep(length.after)
            stop.set()
        await endings.check_again()
    finally:
        watch.cancel()
        endings.close()
    recovery = scene.ledger.recovery(scene.over_at or 0)
    if unreachable := scene.ledger.unreachable:
        scene.notes.append(f"{len(unreachable)} accepted by a node that was left out")
    return Result(
        row,
        cluster.way,
        scene.ledger,
        len(endings),
        recovery,
        tuple(scene.notes),
        tuple(scene.broken),
    )


async def _keep_pgbouncer_running(scene: Scene) -> None:
    """Start PgBouncer again when it ends, as systemd does."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if scene.cluster.pgbouncer.has_ended:
            scene.cluster.pgbouncer.start()
            scene.notes.append("PgBouncer had ended and was started again")


@asynccontextmanager
async def _load(
    scene: Scene, endings: Endings, stop: asyncio.Event, seed: int
) -> AsyncIterator[None]:
    """Run the clients for as long as the context; then let each say how it stands."""
    users = [User(name) for name in user_names()]
    tasks = []
    for number in range(scene.length.clients):
        user, source = users[number % len(users)], f"127.9.{number // 250}.{1 + number % 250}"
        chance = random.Random(f"{seed} {number}")
        tabs = (Connection(scene.cluster.port, source), Connection(scene.cluster.port, source))
        client = Client(user, tabs, scene.ledger, endings, chance)
        tasks.append(asyncio.create_task(client.run(stop)))
    try:
        yield
        _, late = await asyncio.wait(tasks, timeout=2 * FINAL_SECONDS)
        if late:
            scene.notes.append(f"{len(late)} clients did not come to an end")
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _operator_ends_sessions(scene: Scene, endings: Endings) -> None:
    """Change a password and disable a user; their sessions must stay ended through the fault."""
    cluster = scene.cluster
    names = [cluster.leavers.pop(), cluster.leavers.pop()]
    sessions = [await _sign_in(cluster, name) for name in names]
    for session in sessions:
        scene.ledger.hold(session).may_have_ended = True
    await cluster.command("user", "passwd", names[0], stdin=f"new {PASSWORD}\n")
    endings.ended(sessions[0], "password changed")
    await cluster.command("user", "disable", names[1])
    endings.ended(sessions[1], "user disabled")


async def _sign_in(cluster: Cluster, name: str) -> HeldSession:
    body = {"username": name, "password": PASSWORD}
    try:
        response = await ask_once(cluster.port, "POST", "/api/login", body)
    except Failed as exc:
        raise ClusterError(f"{name} could not sign in before the fault") from exc
    if response.status != 200:
        raise ClusterError(f"{name} could not sign in before the fault: {response.status}")
    return HeldSession.from_response(name, response.body)
