"""The cost of verifying an access token: GET /api/me, one worker, against three peers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import primitives
from benchmarks.load import Job
from benchmarks.processes import PEERS, PEERS_BIN, Server, free_port, serving
from benchmarks.results import Goal, Part, Row, Series, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import World, world
from unexpired_server.settings import Algorithm
from unexpired_server.tokens.access_tokens import CACHE_SIZE

SEEN = 100
"""Tokens that are repeated."""

NOT_SEEN = 2 * CACHE_SIZE
"""Tokens in a cycle: so many that each has left the cache before it is repeated."""

SEEN_NAME = "ours, token seen before"
NEW_NAME = "ours, token not seen before"
OFF_NAME = "ours, not verifying"

FLOOR = 1.2
"""How much longer than the bare signature verification may take where that is slow."""

FLOORS: Mapping[Algorithm, str] = {
    alg: f"{alg} in process, token not seen before" for alg in ("HS256", "ES256", "EdDSA")
}

NOTES = [
    """All verify signature, issuer, audience and expiry of the same tokens. Only ours caches
    verified tokens.""",
    """Ours counts and logs every request and assigns it an id, as in production; uvicorn logs every
    request by default, Express and gunicorn log none.""",
    """With a secret as text or bytes, jsonwebtoken first tries to parse a public key on every call;
    with a KeyObject, which its documentation hardly mentions, it does not.""",
    """In process, without HTTP: our whole verification of a token, and the same signature verified
    by `cryptography` (HS256: `hmac`) and nothing else, in processor time.""",
]

Command = list[str | Path]

EXPRESS: Command = ["node", PEERS / "express.mjs"]
FASTAPI: Command = [PEERS_BIN / "uvicorn", "--app-dir", PEERS, "fastapi_app:app", "--port"]
# Threads, because gunicorn's default worker closes the connection after each response, which
# costs it a third.
FLASK: Command = [
    *(PEERS_BIN / "gunicorn", "--chdir", PEERS, "--worker-class", "gthread", "--threads", "4"),
    *("flask_app:app", "--bind"),
]


@dataclass(frozen=True)
class Peer:
    """Another application under its usual server, with that server's own defaults.

    Attributes:
        name: Its name in the table.
        command: Starts it; the port is appended.
        variables: Its environment.
    """

    name: str
    command: Command
    variables: Mapping[str, str] = field(default_factory=dict)

    def started(self, place: World) -> AbstractContextManager[Server]:
        """Run the peer on a free port."""
        port = free_port()
        at = f"127.0.0.1:{port}" if self.command is FLASK else str(port)
        variables = {**place.environment(), "PORT": str(port), **self.variables}
        return serving([*self.command, at], variables, port, place.folder / "peers.log")


PEERS_VERIFYING = (
    Peer("Express, jsonwebtoken", EXPRESS),
    Peer("Express, jsonwebtoken with a KeyObject", EXPRESS, {"KEY_OBJECT": "1"}),
    Peer("FastAPI, PyJWT", FASTAPI),
    Peer("Flask, flask-jwt-extended", FLASK),
)
PEERS_TRUSTING = (
    Peer("Express, not verifying", EXPRESS, {"VERIFY": "0"}),
    Peer("FastAPI, not verifying", FASTAPI, {"VERIFY": "0"}),
    Peer("Flask, not verifying", FLASK, {"VERIFY": "0"}),
)


def measure(rounds: int, seconds: float) -> Part:
    """Compare ourselves with and without verification, and with the peers."""
    with world() as place, _all_turns(place) as turns:
        rows = run(turns, rounds, seconds)
    with world() as place:  # When no server runs.
        floors = {name: primitives.turn(place, alg) for alg, name in FLOORS.items()}
        rows |= run(floors, rounds, seconds / 2)
    return Part(
        name="verifying",
        title="Verifying: GET /api/me, one worker",
        chart="rate",
        rows=list(rows.values()),
        goals=_goals(rows),
        notes=NOTES,
    )


def _goals(rows: Mapping[str, Row]) -> list[Goal]:
    seen, new, off = rows[SEEN_NAME], rows[NEW_NAME], rows[OFF_NAME]
    own = "of our own rate without verification"
    return [
        Goal(f"token seen before, {own}", 0.95, ratio(seen, off, "rate")),
        Goal(f"token not seen before, {own}", 0.55, ratio(new, off, "rate")),
        *(
            Goal(f"token {what} before, of {peer.name}", 1, ratio(row, rows[peer.name], "rate"))
            for what, row in (("seen", seen), ("not seen", new))
            for peer in PEERS_VERIFYING
        ),
        *(_floor(rows[FLOORS[alg]], alg) for alg in ("ES256", "EdDSA")),
    ]


def _floor(row: Row, alg: str) -> Goal:
    ours, bare = row.numbers["microseconds"].values, row.numbers["primitive"].values
    found = Series([one / other for one, other in zip(ours, bare, strict=True)])
    text = f"{alg} token not seen before, in process, of its bare signature"
    return Goal(text, FLOOR, found, is_upper_bound=True)


@contextmanager
def _all_turns(place: World) -> Iterator[dict[str, Turn]]:
    tokens = place.access_tokens(NOT_SEEN)
    unverified = (sys.executable, "-m", "benchmarks.unverified", "serve")
    with ExitStack() as stack:
        ours = stack.enter_context(place.server())
        off = stack.enter_context(place.server(unverified, BENCHMARK_USER=place.user_id))
        turns = {
            SEEN_NAME: _turn(ours, tokens[:SEEN]),
            NEW_NAME: _turn(ours, tokens),
            OFF_NAME: _turn(off, tokens),
        }
        for peer in (*PEERS_VERIFYING, *PEERS_TRUSTING):
            turns[peer.name] = _turn(stack.enter_context(peer.started(place)), tokens)
        yield turns


def _turn(server: Server, tokens: list[str]) -> Turn:
    return over_http({server: lambda: Job(server.url, "/api/me", "get", tokens)})
