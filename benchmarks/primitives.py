"""Verification of tokens that were not seen before, over the bare signature; in this process."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.rounds import Turn
from benchmarks.world import DAY, World
from unexpired_server.settings import Algorithm, load_settings
from unexpired_server.tokens.access_tokens import CACHE_SIZE, AccessTokens
from unexpired_server.tokens.jws import parse_compact
from unexpired_server.tokens.keys import load_ring

BATCH = 100
"""Tokens between two looks at the clock."""

Check = Callable[[Any], object]
Bare = tuple[bytes, bytes]
"""A message, and its signature as the primitive takes it."""


def turn(place: World, alg: Algorithm) -> Turn:
    """Return a measurement of our verification, and of the primitive by itself.

    Both take turns in short batches over the same tokens: so many that each has left the cache
    before it is repeated.

    Args:
        place: Has a folder for the key.
        alg: The algorithm.
    """
    settings = load_settings(keys_file=place.folder / f"{alg}.json", algorithm=alg)
    ring = load_ring(settings)
    tokens = AccessTokens(ring, settings, time.time)
    texts = [
        tokens.issue(place.user_id, secrets.token_hex(16), DAY).token for _ in range(2 * CACHE_SIZE)
    ]
    batches = cycle(
        [(part, [_bare(text, alg) for text in part]) for part in _batches(texts)],
    )
    key = ring.active
    checks = {
        "HS256": lambda one: hmac.compare_digest(hmac.digest(key.secret, one[0], "sha256"), one[1]),
        "ES256": lambda one: key.verifying.material.verify(one[1], one[0], ECDSA(SHA256())),
        "EdDSA": lambda one: key.verifying.material.verify(one[1], one[0]),
    }

    def measured(seconds: float) -> dict[str, float]:
        ours, bare = [], []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            part, signatures = next(batches)
            ours.append(_spent(tokens.verify, part))
            bare.append(_spent(checks[alg], signatures))
        return {"microseconds": median(ours), "primitive": median(bare)}

    return measured


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


def _bare(text: str, alg: Algorithm) -> Bare:
    compact = parse_compact(text)
    if alg != "ES256":
        return compact.message, compact.signature
    half = len(compact.signature) // 2
    r, s = compact.signature[:half], compact.signature[half:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    return compact.message, der


def _spent(check: Check, items: Sequence[Any]) -> float:
    """Return the processor time of one check, in microseconds."""
    began = time.process_time()
    for one in items:
        check(one)
    return (time.process_time() - began) / len(items) * 1e6
