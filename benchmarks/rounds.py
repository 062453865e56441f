"""Rounds in which competitors take turns, so that a busy moment affects all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks.load import Job, Load, finish, start
from benchmarks.processes import Server
from benchmarks.results import Row

WARM_UP_SECONDS = 1

Turn = Callable[[float], dict[str, float]]
"""Measures for some seconds; returns numbers by name."""


def run(turns: Mapping[str, Turn], rounds: int, seconds: float) -> dict[str, Row]:
    """Measure every competitor in every round, in an order that rotates by one each time.

    Args:
        turns: The measurement of each competitor, by name; all their servers run all the time.
        rounds: The number of rounds.
        seconds: How long each is measured in a round.
    """
    rows = {name: Row(name) for name in turns}
    for turn in turns.values():
        turn(WARM_UP_SECONDS)
    for number in range(rounds):
        for name in _rotated(list(turns), number):
            rows[name].add(**turns[name](seconds))
        print(f"round {number + 1} of {rounds}", flush=True)
    return rows


def _rotated(names: Sequence[str], number: int) -> list[str]:
    turn = number % len(names)
    return [*names[turn:], *names[:turn]]


def over_http(asked: Mapping[Server, Callable[[], Job]]) -> Turn:
    """Return a measurement of several servers at once, each with its own load, added up.

    Args:
        asked: Makes the job of each server, for every turn.
    """

    def turn(seconds: float) -> dict[str, float]:
        used = -_used(asked)
        running = [start(replace(job(), seconds=seconds)) for job in asked.values()]
        loads = [finish(child) for child in running]
        return _numbers(loads, used + _used(asked))

    return turn


def _used(servers: Mapping[Server, object]) -> float:
    return sum(server.processor_seconds for server in servers)


def _numbers(loads: Sequence[Load], used: float) -> dict[str, float]:
    return {
        "rate": sum(load.rate for load in loads),
        "per_core": sum(load.statuses["200"] for load in loads) / used,
        "median_ms": max(load.median_ms for load in loads),
        "p99_ms": max(load.p99_ms for load in loads),
    }
