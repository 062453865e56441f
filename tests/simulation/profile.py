"""What a world is like: how long tokens live, how often people act, how much goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of world. Probabilities are per request, times are in seconds.

    Attributes:
        days: how long the world lasts.
        access_ttl: how long an access token lives.
        idle_ttl: how long a session lives without a refresh.
        absolute_ttl: how long a session lives at all.
        grace: how long a just-used refresh token may be presented again.
        tabs: how many tabs may be open at once.
        pace: the mean time between two things that happen to the device.
        burst: how many calls a tab makes at once, at the most.
        slow: the mean delay of each way through the network.
        drop_request: a request is lost on its way.
        drop_reply: it arrives, but the reply is lost.
        duplicate: it arrives twice.
        hang: it takes half a minute longer.
        fault: the server, or something in between, answers nonsense or with an error of its own.
        skew: how wrong the device's clock is at the start, at the most.
        sign_outs: how likely a person signs out, among a hundred things that happen.
        tick: how often a tab looks at the clock.
        simple: no refresh tokens.
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
    drop_reply: float = 0.02
    duplicate: float = 0.02
    hang: float = 0.005
    fault: float = 0.03
    skew: float = 2 * HOUR
    sign_outs: float = 0.6
    tick: float = 10 * MINUTE
    simple: bool = False


def draw(random: Random) -> Profile:
    """Draw a kind of world."""
    kind = random.choices((storm, office, months, simple), weights=(0.25, 0.30, 0.40, 0.05), k=1)[0]
    return kind(random)


def storm(random: Random) -> Profile:
    """Short lives, many faults, everything at once."""
    return Profile(
        days=random.uniform(0.05, 0.2),
        access_ttl=random.choice((30, 60, 300)),
        idle_ttl=random.choice((10 * MINUTE, HOUR, DAY)),
        absolute_ttl=random.choice((HOUR, DAY)),
        pace=random.uniform(5, 60),
        tick=5,
        sign_outs=5,
        drop_request=0.1,
        drop_reply=0.1,
        duplicate=0.1,
        hang=0.03,
        fault=0.15,
    )


def office(random: Random) -> Profile:
    """Working days with the usual lifetimes."""
    return Profile(
        days=random.uniform(2, 10),
        access_ttl=random.choice((5 * MINUTE, 15 * MINUTE, HOUR)),
        pace=random.uniform(10, 60) * MINUTE,
        absolute_ttl=random.choice((3 * DAY, 30 * DAY)),
    )


def months(random: Random) -> Profile:
    """A device that is used now and then, for a long time."""
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


def simple(random: Random) -> Profile:
    """No refresh tokens: a session is as long as its access token."""
    return Profile(days=5, access_ttl=random.choice((HOUR, DAY)), pace=HOUR, simple=True)
