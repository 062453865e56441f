"""The parameters of a world: lifetimes of tokens, how often people act, how often faults occur."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of world. Probabilities are per request, times in seconds.

    Attributes:
        days: How long the world lasts.
        access_ttl: How long an access token lives.
        idle_ttl: How long a session lives without a refresh.
        absolute_ttl: How long a session lives in total.
        grace: How long a used refresh token may be presented again.
        tabs: How many tabs may be open at once.
        pace: The mean time between two events of the fault model.
        burst: The largest number of calls that a tab makes at once.
        slow: The mean delay of the network in each direction.
        drop_request: The request is lost.
        drop_response: The request arrives, and the response is lost.
        duplicate: The request arrives twice.
        hang: It takes much longer, up to several minutes.
        fault: The server, or a proxy in between, responds with nonsense or an error.
        skew: The largest error of the device's clock.
        sign_outs: The weight of a sign-out among the events, which sum up to about 100.
        tick: How often a tab checks the clock.
        simple: There are no refresh tokens.
        trouble: The weight of what is rarer: a blocked event loop, a lock whose holder stalls, a
            damaged record, a restored database, a clock that leaps and returns.
    """

    days: float
    access_ttl: float
    idle_ttl: float = 7 * DAY
    absolute_ttl: float = 30 * DAY
    grace: float = 30.0
    tabs: int = 4
    pace: float = 10 * MINUTE
    burst: int = 6
    slow: float = 0.2
    drop_request: float = 0.02
    drop_response: float = 0.02
    duplicate: float = 0.02
    hang: float = 0.005
    fault: float = 0.03
    skew: float = 2 * HOUR
    sign_outs: float = 0.6
    tick: float = 10 * MINUTE
    simple: bool = False
    trouble: float = 1.0


def draw(random: Random) -> Profile:
    """Draw a kind of world at random."""
    kind = random.choices((storm, office, months, simple), weights=(0.25, 0.30, 0.40, 0.05), k=1)[0]
    return kind(random)


def storm(random: Random) -> Profile:
    """Short lifetimes and many faults."""
    return Profile(
        days=random.uniform(0.05, 0.2),
        slow=random.choice((0.2, 0.2, 2, 8)),
        trouble=5,
        access_ttl=random.choice((30, 60, 300)),
        idle_ttl=random.choice((10 * MINUTE, HOUR, DAY)),
        absolute_ttl=random.choice((HOUR, DAY)),
        pace=random.uniform(5, 60),
        tick=5,
        sign_outs=5,
        drop_request=0.1,
        drop_response=0.1,
        duplicate=0.1,
        hang=0.03,
        fault=0.15,
    )


def office(random: Random) -> Profile:
    """Working days with the usual lifetimes of tokens."""
    return Profile(
        days=random.uniform(2, 10),
        access_ttl=random.choice((5 * MINUTE, 15 * MINUTE, HOUR)),
        pace=random.uniform(10, 60) * MINUTE,
        absolute_ttl=random.choice((3 * DAY, 30 * DAY)),
    )


def months(random: Random) -> Profile:
    """A device that is used now and then for many months."""
    return Profile(
        days=random.uniform(120, 400),
        access_ttl=random.choice((8 * HOUR, DAY)),
        idle_ttl=30 * DAY,
        absolute_ttl=365 * DAY,
        pace=random.uniform(0.5, 2) * DAY,
        tabs=2,
        burst=2,
        tick=DAY,
    )


def years(random: Random) -> Profile:
    """A device with long-lived tokens that is used now and then for many years."""
    return Profile(
        days=random.uniform(3000, 8000),
        access_ttl=random.choice((7, 14, 30)) * DAY,
        idle_ttl=180 * DAY,
        absolute_ttl=10_000 * DAY,
        pace=random.uniform(5, 15) * DAY,
        tabs=2,
        burst=2,
        sign_outs=0.2,
        tick=30 * DAY,
    )


def simple(random: Random) -> Profile:
    """No refresh tokens: a session ends with its access token."""
    return Profile(days=5, access_ttl=random.choice((HOUR, DAY)), pace=HOUR, simple=True)
