"""Load over HTTP, from autocannon in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.processes import HERE

Kind = Literal["get", "prove", "refresh", "post"]


@dataclass(frozen=True)
class Job:
    """What to send; ``load.mjs`` describes the kinds.

    Attributes:
        url: The server.
        path: The path of every request.
        kind: How the items are sent.
        items: Tokens or bodies.
        field: The field of the refresh token, in requests and responses.
        connections: How many, each with one request in flight.
        seconds: How long.
        nonce: The server's, for the proofs of calls.
    """

    url: str
    path: str
    kind: Kind
    items: Sequence[Any]
    field: str = "refreshToken"
    connections: int = 32
    seconds: float = 3
    nonce: str = ""


@dataclass(frozen=True)
class Load:
    """The outcome: successes per second, and latencies in milliseconds."""

    rate: float
    median_ms: float
    p99_ms: float
    statuses: dict[str, int]
    errors: int


class BadLoadError(Exception):
    """Some requests failed: a rate that counts them would mean nothing."""


def start(job: Job) -> subprocess.Popen[str]:
    """Start sending, in a process of its own."""
    child = subprocess.Popen(
        ["node", HERE / "load.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin  # noqa: S101 - for the type checker: it was asked for above
    child.stdin.write(json.dumps(vars(job)))
    child.stdin.close()
    return child


def finish(child: subprocess.Popen[str]) -> Load:
    """Wait for the end, and return the outcome.

    Raises:
        BadLoadError: Not every request succeeded.
    """
    assert child.stdout  # noqa: S101 - as above
    with child.stdout:
        outcome = Load(**json.loads(child.stdout.read()))
    child.wait()
    if outcome.errors or set(outcome.statuses) != {"200"}:
        raise BadLoadError(f"{outcome.statuses}, {outcome.errors} connections failed")
    return outcome


def send(job: Job) -> Load:
    """Send for as long as the job says.

    Raises:
        BadLoadError: Not everything succeeded.
    """
    return finish(start(job))
