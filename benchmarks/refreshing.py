"""Refreshes per second, with rotation, on a durable SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

from benchmarks.load import Job
from benchmarks.postgres import fresh_database, trouble
from benchmarks.processes import PEERS, PEERS_BIN, Server, free_port, serving
from benchmarks.results import Goal, Part, Row, Series, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import World, world

SESSIONS = 100_000
"""Stored before the first refresh."""

OURS_AT_ONCE, PEERS_AT_ONCE = 4000, 1000
"""Sessions that are refreshed in one turn: enough that none is refreshed twice in a second."""

CONNECTIONS = 32

OURS, OURS_INSIDE, TWO = "ours", "ours, in process", "ours, two nodes"
PEER, PEER_INSIDE = "simplejwt", "simplejwt, in process"

NOTES = [
    """In process: the whole application is called as its server would call it, by 32 tasks (ours)
    or 4 threads (the peer) at once, without a server, a network or a load generator.""",
    """simplejwt rotates and blacklists, under gunicorn with one process of 4 threads and persistent
    connections. SQLite is in WAL mode with synchronous FULL for both: a response means that the
    change is on the disk.""",
    """Each turn begins with sessions that were not refreshed yet; each is refreshed again after all
    others were.""",
]


def measure(rounds: int, seconds: float) -> Part:
    """Compare refreshes on SQLite, and on PostgreSQL where there is one."""
    missing = trouble()
    parts = [_on_sqlite(rounds, seconds), {} if missing else _on_postgres(rounds, seconds)]
    rows = {name: row for part in parts for name, row in part.items()}
    return Part(
        name="refreshing",
        title="Refreshing: POST /api/refresh with rotation, one process",
        chart="rate",
        rows=list(rows.values()),
        goals=_goals(rows),
        notes=[*NOTES, *([missing] if missing else [])],
    )


def _goals(rows: dict[str, Row]) -> list[Goal]:
    found = [
        Goal("refreshes per second and core on SQLite, over HTTP", 2000, _of(rows, OURS)),
        Goal("the same in process", 2000, _of(rows, OURS_INSIDE)),
    ]
    for store in ("SQLite", "PostgreSQL"):
        if f"{store}: {OURS}" in rows:
            for mine, theirs in ((OURS, PEER), (OURS_INSIDE, PEER_INSIDE)):
                above, below = rows[f"{store}: {mine}"], rows[f"{store}: {theirs}"]
                text = f"{above.name}, of {below.name}"
                found.append(Goal(text, 5, ratio(above, below, "rate")))
    if f"PostgreSQL: {TWO}" in rows:
        two, one = rows[f"PostgreSQL: {TWO}"], rows[f"PostgreSQL: {OURS}"]
        found.append(Goal("PostgreSQL: two nodes, of one", 1, ratio(two, one, "rate")))
    return found


def _of(rows: dict[str, Row], name: str) -> Series:
    return rows[f"SQLite: {name}"].numbers["per_core"]


def _on_sqlite(rounds: int, seconds: float) -> dict[str, Row]:
    with world() as place, ExitStack() as stack:
        database = f"sqlite://{place.folder}/peer.sqlite3"
        turns = {**_ours(place, rounds, stack), **_peers(place, database, rounds, stack)}
        return _run("SQLite", turns, rounds, seconds)


def _on_postgres(rounds: int, seconds: float) -> dict[str, Row]:
    with ExitStack() as stack:
        place = stack.enter_context(world(stack.enter_context(fresh_database())))
        database = stack.enter_context(fresh_database())
        turns = {**_ours(place, rounds, stack), **_peers(place, database, rounds, stack)}
        return _run("PostgreSQL", turns, rounds, seconds)


def _run(store: str, turns: dict[str, Turn], rounds: int, seconds: float) -> dict[str, Row]:
    return run({f"{store}: {name}": turn for name, turn in turns.items()}, rounds, seconds)


def _ours(place: World, rounds: int, stack: ExitStack) -> dict[str, Turn]:
    place.add_sessions(SESSIONS)
    turns = rounds + 1
    tokens = place.refresh_tokens((2 if place.is_sqlite else 4) * turns * OURS_AT_ONCE)
    shares = _shares(tokens, OURS_AT_ONCE)
    one = stack.enter_context(place.server())
    inside = [sys.executable, "-m", "benchmarks.in_process", "refresh"]
    found = {
        OURS: over_http({one: _jobs(one, shares, "refreshToken")}),
        OURS_INSIDE: in_process(inside, place.environment(), shares),
    }
    if not place.is_sqlite:
        two = stack.enter_context(place.server())
        jobs = {node: _jobs(node, shares, "refreshToken", CONNECTIONS // 2) for node in (one, two)}
        found[TWO] = over_http(jobs)
    return found


def _peers(place: World, database: str, rounds: int, stack: ExitStack) -> dict[str, Turn]:
    program = [PEERS_BIN / "python", PEERS / "simplejwt.py"]
    variables = {**os.environ, **place.environment(), "PEER_DATABASE_URL": database}
    count = 2 * (rounds + 1) * PEERS_AT_ONCE
    made = subprocess.run([*program, "tokens", str(count)], env=variables, check=True, stdout=PIPE)
    shares = _shares(json.loads(made.stdout), PEERS_AT_ONCE)
    port = free_port()
    command: list[str | Path] = [
        *(PEERS_BIN / "gunicorn", "--chdir", PEERS, "--worker-class", "gthread", "--threads", "4"),
        *("simplejwt:application", "--bind", f"127.0.0.1:{port}"),
    ]
    log = place.folder / "peers.log"
    server = stack.enter_context(serving(command, variables, port, log))
    return {
        PEER: over_http({server: _jobs(server, shares, "refresh")}),
        PEER_INSIDE: in_process([*program, "in-process"], variables, shares),
    }


def _shares(tokens: list[str], count: int) -> Iterator[list[str]]:
    return (tokens[start : start + count] for start in range(0, len(tokens), count))


def _jobs(
    server: Server, shares: Iterator[list[str]], field: str, connections: int = CONNECTIONS
) -> Callable[[], Job]:
    def job() -> Job:
        items = next(shares)
        return Job(server.url, "/api/refresh", "refresh", items, field, connections)

    return job


def in_process(
    command: Sequence[str | Path], variables: Mapping[str, str], shares: Iterator[list[Any]]
) -> Turn:
    """Return a measurement of an application that is called in its own process.

    Args:
        command: Calls it; the seconds are appended.
        variables: Its environment.
        shares: What each turn sends.
    """
    environment = {**os.environ, **variables}

    def turn(seconds: float) -> dict[str, float]:
        tokens = json.dumps(next(shares)).encode()
        asked = [*command, str(seconds)]
        done = subprocess.run(asked, input=tokens, env=environment, stdout=PIPE, check=True)
        numbers: dict[str, float] = json.loads(done.stdout)
        return numbers

    return turn
