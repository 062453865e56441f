"""Rounds in which competitors take turns, so that a busy moment of the machine hits them alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks.load import Job, Load, finish, start
from benchmarks.processes import Server
from benchmarks.results import Row

WARM_UP_SECONDS = 1

Turn = Callable[[float], dict[str, float]]
"""One measurement of so many seconds, as numbers by their names."""


def run(turns: Mapping[str, Turn], rounds: int, seconds: float) -> dict[str, Row]:
    """Measure every competitor in every round, in an order that moves on by one each time.

    Args:
        turns: Every competitor's, by its name; all of their servers run all the time.
        rounds: How often.
        seconds: How long each is measured in a round.
    """
    rows = {name: Row(name) for name in turns}
    for turn in turns.values():
        turn(WARM_UP_SECONDS)
    for number in range(rounds):
        for name in _moved_on(list(turns), number):
            rows[name].add(**turns[name](seconds))
        print(f"round {number + 1} of {rounds}", flush=True)
    return rows


def _moved_on(names: Sequence[str], number: int) -> list[str]:
    turn = number % len(names)
    return [*names[turn:], *names[:turn]]


def over_http(asked: Mapping[Server, Callable[[], Job]]) -> Turn:
    """What servers do at once, each with a load of its own; added up.

    Args:
        asked: What each is sent; a new job is made for every turn.
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
