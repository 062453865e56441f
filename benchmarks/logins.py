"""The latency of GET /api/me while others log in."""

from __future__ import annotations

import time
from dataclasses import replace

from benchmarks.load import Job, finish, start
from benchmarks.processes import Server
from benchmarks.results import Goal, Part, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import PASSWORD, World, world

VERIFYING_AT_ONCE = 4
LOGGING_IN_AT_ONCE = 4
"""Twice the number of threads for password hashes."""

LEAD_SECONDS = 1.0
"""How long logins run before and after the measurement."""

QUIET, MEANWHILE = "no logins", "logins meanwhile"

NOTES = [
    f"{VERIFYING_AT_ONCE} connections verify, {LOGGING_IN_AT_ONCE} log in without a pause.",
    """Two passwords are verified at once, each by Argon2id with RFC 9106's low-memory parameters,
    which use four threads and 64 MiB: on a machine with few cores they use all of them.""",
]


def measure(rounds: int, seconds: float) -> Part:
    """Compare verification's latency without and with logins."""
    with world() as place, place.server() as server:
        quiet = _verifying(place, server)
        turns = {QUIET: quiet, MEANWHILE: _with_logins(server, quiet)}
        rows = run(turns, rounds, seconds)
    slower = ratio(rows[MEANWHILE], rows[QUIET], "median_ms")
    return Part(
        name="logins",
        title="Verifying while others log in: GET /api/me, one worker",
        chart="median_ms",
        rows=list(rows.values()),
        goals=[Goal("median with logins, of that without", 2, slower, is_upper_bound=True)],
        notes=NOTES,
    )


def _verifying(place: World, server: Server) -> Turn:
    tokens = place.access_tokens(100)
    job = Job(server.url, "/api/me", "get", tokens, connections=VERIFYING_AT_ONCE)
    return over_http({server: lambda: job})


def _with_logins(server: Server, verifying: Turn) -> Turn:
    bodies = [{"username": "ada", "password": PASSWORD}]
    job = Job(server.url, "/api/login", "post", bodies, connections=LOGGING_IN_AT_ONCE)

    def turn(seconds: float) -> dict[str, float]:
        logins = start(replace(job, seconds=seconds + 2 * LEAD_SECONDS))
        time.sleep(LEAD_SECONDS)
        numbers = verifying(seconds)
        return {**numbers, "logins": finish(logins).rate}

    return turn
