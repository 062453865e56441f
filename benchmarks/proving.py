"""What a bound session costs the server: calls and refreshes, bound and not bound."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

import httpx

from benchmarks.in_process import HOST
from benchmarks.load import Job, Kind
from benchmarks.processes import Server
from benchmarks.refreshing import in_process
from benchmarks.results import Goal, Part, Row, ratio
from benchmarks.rounds import Turn, over_http, run
from benchmarks.world import DAY, World, world
from tests.support.proof_maker import ProofMaker
from unexpired_server.tokens import base64url
from unexpired_server.tokens.access_tokens import AccessTokens

CALLERS = 100
"""Sessions that call, over and over: tokens and keys that the server has seen before."""

AT_ONCE = 4000
"""Sessions that are refreshed in one turn, each with a key that the server has not seen."""

CALLS_AT_ONCE = 12_000
"""Calls of one turn in process, at most: each needs a proof of its own, made before."""

IN_PROCESS = f"http://{HOST[1].decode()}"

CALL, REFRESH = "call", "refresh"
UNBOUND, BOUND, ALL = "not bound", "bound, DPOP=refresh", "bound, DPOP=all"

NOTES = [
    """A call is GET /api/me with a token seen before; a refresh is POST /api/refresh with rotation
    on a durable SQLite. Under DPOP=refresh a bound session's call is the same request as an unbound
    one's: it is measured to show how far apart equal things are.""",
    """Under DPOP=all each call has a new proof, which the server verifies, and whose id it
    remembers. The proofs of calls over HTTP are signed by the load generator, which costs a call
    some of its latency, and the server's processor nothing; those in process are made before.""",
    """Most of what `all` adds to a call in process is the primitive: of the 120 µs that a proof
    takes, measured without a server, OpenSSL verifies the signature of ES256 for 78. The key is
    cached with its thumbprint, by the header that it came in. The goal of 1.3 is for a call from a
    page; its figures are in dpop-page.md.""",
    """Each refresh is by a key that the server has not seen, except where a turn comes round to a
    session again. A session's proof is the same in all refreshes of a turn.""",
]


@dataclass(frozen=True)
class Sessions:
    """Sessions with their tokens and keys.

    Attributes:
        tokens: The tokens.
        makers: What makes proofs by the key of each.
    """

    tokens: Sequence[str]
    makers: Sequence[ProofMaker]

    def __iter__(self) -> Iterator[tuple[str, ProofMaker]]:
        return zip(self.tokens, self.makers, strict=True)


@dataclass(frozen=True)
class Nonces:
    """Asks for a nonce, as a client does that has none; every server of a world accepts it.

    Attributes:
        server: A server that asks for proofs of calls.
        bound: Sessions to ask with.
    """

    server: Server
    bound: Sessions

    def latest(self) -> str:
        """Return a nonce."""
        token, maker = next(iter(self.bound))
        url = f"{self.server.url}/api/me"
        proof = maker.proof("GET", url, access_token=token)
        response = httpx.get(url, headers={"Authorization": f"DPoP {token}", "DPoP": proof})
        return response.headers["dpop-nonce"]


def measure(rounds: int, seconds: float) -> Part:
    """Compare calls and refreshes, over HTTP and in process."""
    with world() as place, _all_turns(place, rounds) as turns:
        rows = run(turns, rounds, seconds)
    return Part(
        name="dpop",
        title="Bound sessions on the server: GET /api/me and POST /api/refresh, one worker",
        chart="per_core",
        rows=list(rows.values()),
        goals=list(_goals(rows)),
        notes=NOTES,
    )


def _goals(rows: Mapping[str, Row]) -> Iterator[Goal]:
    for where in ("over HTTP", "in process"):
        unbound, bound = (rows[_name(CALL, where, how)] for how in (UNBOUND, BOUND))
        rate = ratio(bound, unbound, "per_core")
        yield Goal(f"calls {where}, {BOUND}, of those not bound", 0.97, rate)


def _name(kind: str, where: str, how: str) -> str:
    return f"{kind} {where}: {how}"


@contextmanager
def _all_turns(place: World, rounds: int) -> Iterator[dict[str, Turn]]:
    with ExitStack() as stack:
        servers = {
            how: stack.enter_context(place.server(UNEXPIRED_DPOP=mode, UNEXPIRED_REFRESH_LIMIT=""))
            for how, mode in ((BOUND, "refresh"), (ALL, "all"))
        }
        bound = _bound_tokens(place)
        nonces = Nonces(servers[ALL], bound)
        calls = _calls(place, servers, bound, nonces)
        yield {**calls, **_refreshes(place, servers[BOUND], nonces, rounds)}


# -- Calls -----------------------------------------------------------------------------------------


def _calls(
    place: World, servers: Mapping[str, Server], bound: Sessions, nonces: Nonces
) -> dict[str, Turn]:
    plain = {how: place.access_tokens(CALLERS) for how in (UNBOUND, BOUND)}
    found = {}
    for how, tokens in plain.items():
        found[_name(CALL, "over HTTP", how)] = _over_http(servers[BOUND], "get", tokens)
        found[_name(CALL, "in process", how)] = _inside(place, CALL, partial(list, tokens))
    items = [[token, _private(maker)] for token, maker in bound]
    found[_name(CALL, "over HTTP", ALL)] = _over_http(servers[ALL], "prove", items, nonces.latest)
    found[_name(CALL, "in process", ALL)] = _inside(
        place, CALL, lambda: _proven_calls(bound, nonces.latest()), UNEXPIRED_DPOP="all"
    )
    return found


def _over_http(
    server: Server, kind: Kind, items: Sequence[Any], nonce: Callable[[], str] = str
) -> Turn:
    return over_http({server: lambda: Job(server.url, "/api/me", kind, items, nonce=nonce())})


def _bound_tokens(place: World) -> Sessions:
    settings = place.settings.model_copy(update={"dpop": "all"})
    access = AccessTokens(place.ring, settings, time.time)
    makers = [ProofMaker() for _ in range(CALLERS)]
    tokens = [
        access.issue(place.user_id, secrets.token_hex(16), DAY, jkt=maker.jkt).token
        for maker in makers
    ]
    return Sessions(tokens, makers)


def _private(maker: ProofMaker) -> dict[str, str]:
    d = maker.key.private_numbers().private_value.to_bytes(32, "big")
    return {**maker.jwk, "d": base64url.encode(d)}


def _proven_calls(bound: Sessions, nonce: str) -> list[Any]:
    url = f"{IN_PROCESS}/api/me"
    return [
        [token, maker.proof("GET", url, nonce=nonce, access_token=token)]
        for token, maker in islice(cycle(bound), CALLS_AT_ONCE)
    ]


# -- Refreshes -------------------------------------------------------------------------------------


def _refreshes(place: World, server: Server, nonces: Nonces, rounds: int) -> dict[str, Turn]:
    shares = 4 * (rounds + 1)
    place.add_sessions(2 * shares * AT_ONCE)
    tokens = place.refresh_tokens(shares * AT_ONCE)
    parts = (tokens[start : start + AT_ONCE] for start in range(0, len(tokens), AT_ONCE))

    def bound_to(url: str) -> list[Any]:
        return _bind(place, next(parts), url, nonces.latest())

    def job(items: Callable[[], list[Any]]) -> Callable[[], Job]:
        return lambda: Job(server.url, "/api/refresh", "refresh", items())

    here, there = f"{server.url}/api/refresh", f"{IN_PROCESS}/api/refresh"
    return {
        _name(REFRESH, "over HTTP", UNBOUND): over_http({server: job(lambda: next(parts))}),
        _name(REFRESH, "over HTTP", BOUND): over_http({server: job(lambda: bound_to(here))}),
        _name(REFRESH, "in process", UNBOUND): _inside(place, REFRESH, lambda: next(parts)),
        _name(REFRESH, "in process", BOUND): _inside(place, REFRESH, lambda: bound_to(there)),
    }


def _bind(place: World, tokens: Sequence[str], url: str, nonce: str) -> list[Any]:
    """Bind sessions to keys of their own; return their tokens, each with a proof."""
    makers = [ProofMaker() for _ in tokens]
    place.bind(dict(zip(tokens, (maker.jkt for maker in makers), strict=True)))
    proofs = (maker.proof("POST", url, nonce=nonce) for maker in makers)
    return [[token, proof] for token, proof in zip(tokens, proofs, strict=True)]


def _inside(
    place: World, kind: str, items: Callable[[], list[Any] | None], **variables: str
) -> Turn:
    command = [sys.executable, "-m", "benchmarks.in_process", kind]
    environment = {**place.environment(), "UNEXPIRED_REFRESH_LIMIT": "", **variables}
    return in_process(command, environment, iter(items, None))
