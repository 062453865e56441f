"""Latency and memory with few and with many stored sessions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from benchmarks.load import Job
from benchmarks.processes import Server
from benchmarks.results import Goal, Part, Row, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import DAY, World, world
from unexpired_server.tokens.access_tokens import CACHE_SIZE

SIZES = (10**4, 10**6, 10**7)
EXPIRED = 10**6
CONNECTIONS = 8
AT_ONCE = 4000
"""Sessions that are refreshed in one turn: enough that none is refreshed twice in a second."""

SWEEP_TURNS, SWEEP_TURN_SECONDS = 400, 4.0
"""The largest number of turns during the sweep, and their length."""

QUIET_SECONDS, QUIET_SHARE = 3.0, 0.05
"""A server that uses less than this share of a core for this long is idle."""

REFRESH, VERIFY = "refresh, {:,} sessions", "verify, {:,} sessions"

NOTES = [
    f"""{CONNECTIONS} connections; SQLite. Sessions are inserted by SQL; those to refresh are drawn
    from the whole table.""",
    """A server sweeps ended sessions when it starts. Measurements begin after that, except in the
    last row, which measures refreshes during the sweep.""",
    "Memory is the server's resident set after the measurements.",
]


def measure(rounds: int, seconds: float, sizes: Sequence[int] = SIZES) -> Part:
    """Compare few sessions with many; then measure a sweep of ended ones."""
    with ExitStack() as stack:
        places = [_grown(size, stack) for size in sizes]
        rows = _by_size(dict(zip(sizes, places, strict=True)), rounds, seconds)
        sweeping = _sweep(places[-1], min(EXPIRED, sizes[-1]), sizes[-1])
    return Part(
        name="growth",
        title="Growth: latency and memory by the number of sessions stored",
        chart="median_ms",
        rows=[*rows.values(), sweeping],
        goals=[_goal(what, rows, sizes) for what in (REFRESH, VERIFY)],
        notes=NOTES,
    )


def _goal(what: str, rows: Mapping[str, Row], sizes: Sequence[int]) -> Goal:
    few, many = rows[what.format(sizes[0])], rows[what.format(sizes[-1])]
    text = f"{many.name}: median, of that with {sizes[0]:,}"
    return Goal(text, 1.5, ratio(many, few, "median_ms"), is_upper_bound=True)


def _grown(size: int, stack: ExitStack) -> World:
    place = stack.enter_context(world())
    place.add_sessions(size)
    print(f"{size:,} sessions stored", flush=True)
    return place


def _by_size(places: Mapping[int, World], rounds: int, seconds: float) -> dict[str, Row]:
    with ExitStack() as stack:
        turns = {}
        for size, place in places.items():
            server = stack.enter_context(place.server())
            _settle(server)
            turns[REFRESH.format(size)] = _refreshing(place, server)
            turns[VERIFY.format(size)] = _verifying(place, server)
        return run(turns, rounds, seconds)


def _sweep(place: World, expired: int, live: int) -> Row:
    """Refresh from the server's start until it has swept the ended sessions."""
    row = Row(f"refresh, {live:,} sessions, {expired:,} ended ones being swept")
    tokens = place.refresh_tokens(min(SWEEP_TURNS * AT_ONCE, live // 2))
    shares = [tokens[at : at + AT_ONCE] for at in range(0, len(tokens), AT_ONCE)]
    place.add_sessions(expired, at=time.time() - place.settings.refresh_absolute_ttl - 2 * DAY)
    with place.server() as server:
        job = over_http({server: lambda: _refresh_job(server, shares.pop())})
        refresh = _with_memory(job, server)
        began = time.monotonic()
        while shares and _stored(place) > live:
            row.add(**refresh(SWEEP_TURN_SECONDS))
        if shares:  # Otherwise the sweep takes longer than the measurement.
            row.add(sweep_seconds=time.monotonic() - began)
    return row


def _stored(place: World) -> int:
    return int(place.ask("SELECT count(*) FROM sessions")[0][0])


def _refreshing(place: World, server: Server) -> Turn:
    job = over_http({server: lambda: _refresh_job(server, place.refresh_tokens(AT_ONCE))})
    return _with_memory(job, server)


def _verifying(place: World, server: Server) -> Turn:
    tokens = place.access_tokens(2 * CACHE_SIZE)
    job = Job(server.url, "/api/me", "get", tokens, connections=CONNECTIONS)
    return _with_memory(over_http({server: lambda: job}), server)


def _refresh_job(server: Server, tokens: list[str]) -> Job:
    return Job(server.url, "/api/refresh", "refresh", tokens, connections=CONNECTIONS)


def _with_memory(turn: Turn, server: Server) -> Turn:
    return lambda seconds: {**turn(seconds), "memory": server.memory}


def _settle(server: Server) -> None:
    """Wait until a server that has just started is idle."""
    used = server.processor_seconds
    while True:
        time.sleep(QUIET_SECONDS)
        before, used = used, server.processor_seconds
        if used - before < QUIET_SHARE * QUIET_SECONDS:
            return
