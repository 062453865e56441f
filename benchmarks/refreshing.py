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

from benchmarks import redis
from benchmarks.load import Job
from benchmarks.postgres import fresh_database, trouble
from benchmarks.processes import PEERS, PEERS_BIN, Server, free_port, serving
from benchmarks.results import HEADINGS, Goal, Part, Row, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import World, world

SESSIONS = 200_000
"""Stored before the first refresh."""

OURS_AT_ONCE, PEERS_AT_ONCE = 4000, 1000
"""Sessions that are refreshed in one turn: enough that none is refreshed twice in a second."""

BUSY_AT_ONCE = 100
"""Sessions that are refreshed many times in one turn, as when clients go wrong."""

CONNECTIONS = 32

PROCESSES = 6
"""Cores that two of our processes, their database and two load generators need at once."""

OURS, OURS_INSIDE = "ours", "ours, in process"
TWO, WORKERS = "ours, two nodes", "ours, two workers"
LIMITED, BUSY = "ours, limits in Redis", "ours, limits in Redis, each session all the time"
PEER, PEER_INSIDE = "simplejwt", "simplejwt, in process"

WANTED = {"SQLite": 2500, "PostgreSQL": 2000}
"""Refreshes per processor-second."""

NOTES = [
    """In process: the whole application is called as its server would call it, by 32 tasks (ours)
    or 4 threads (the peer) at once, without a server, a network or a load generator.""",
    """simplejwt rotates and blacklists, under gunicorn with one process of 4 threads and persistent
    connections. SQLite is in WAL mode with synchronous FULL for both: a response means that the
    change is on the disk.""",
    """Each turn begins with sessions that were not refreshed yet; each is refreshed again after all
    others were.""",
    """Limits in Redis: a session that is refreshed now and then is counted in the node only; one
    that is refreshed all the time, in Redis, which is asked twice for each refresh.""",
]
FEW_CORES = """Two nodes and two workers share the cores with their database and the load, so here
their goal is a refresh in at most 1.11 of the processor time; with more cores it is 1.8 times the
rate."""


def measure(rounds: int, seconds: float) -> Part:
    """Compare refreshes on SQLite, and on PostgreSQL where there is one."""
    missing, without_redis = trouble(), redis.trouble()
    parts = [_on_sqlite(rounds, seconds), {} if missing else _on_postgres(rounds, seconds)]
    notes = [text for text in (missing, without_redis, FEW_CORES if _few_cores() else None) if text]
    rows = {name: row for part in parts for name, row in part.items()}
    return Part(
        name="refreshing",
        title="Refreshing: POST /api/refresh with rotation",
        chart="rate",
        rows=list(rows.values()),
        goals=_goals(rows),
        notes=[*NOTES, *notes],
    )


def _goals(rows: dict[str, Row]) -> list[Goal]:
    found = []
    for store, wanted in WANTED.items():
        if ours := rows.get(f"{store}: {OURS}"):
            text = f"{store}: refreshes per processor-second, over HTTP"
            found.append(Goal(text, wanted, ours.numbers["per_core"]))
            peer = rows[f"{store}: {PEER}"]
            text = f"{store}: the same, of {PEER}"
            found.append(Goal(text, 10, ratio(ours, peer, "per_core")))
    twice = (0.9, "per_core") if _few_cores() else (1.8, "rate")
    for name, of_one, heading in ((TWO, *twice), (WORKERS, *twice), (LIMITED, 0.95, "per_core")):
        if other := rows.get(f"PostgreSQL: {name}"):
            one = rows[f"PostgreSQL: {OURS}"]
            text = f"{other.name}, of one node's {HEADINGS[heading]}"
            found.append(Goal(text, of_one, ratio(other, one, heading)))
    return found


def _few_cores() -> bool:
    return (os.cpu_count() or 1) < PROCESSES


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
    tokens = place.refresh_tokens((2 if place.is_sqlite else 7) * turns * OURS_AT_ONCE)
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
        workers = stack.enter_context(place.server(UNEXPIRED_WORKERS="2"))
        found[WORKERS] = over_http({workers: _jobs(workers, shares, "refreshToken")})
        found |= _limited(place, shares, stack)
    return found


def _limited(place: World, shares: Iterator[list[str]], stack: ExitStack) -> dict[str, Turn]:
    """Return a node that counts in Redis: refreshed as others are, and refreshed all the time."""
    if redis.trouble():
        return {}
    node = stack.enter_context(place.server(UNEXPIRED_RATE_LIMIT_URL=redis.URL))
    few = (share[:BUSY_AT_ONCE] for share in shares)
    return {
        LIMITED: over_http({node: _jobs(node, shares, "refreshToken")}),
        BUSY: over_http({node: _jobs(node, few, "refreshToken")}),
    }


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
