"""ES256 in Python's own numbers, for there is no ``cryptography`` for a Python in a browser.

It only verifies, so it knows no secret that its timing could tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from unexpired_server.tokens import base64url

BYTES = 32
# FIPS 186-4, D.1.2.3.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

Point = tuple[int, int, int]
"""In Jacobian coordinates, which need no division: ``x/z²``, ``y/z³``. At infinity z is 0."""

INFINITY: Point = (1, 1, 0)


def proof_key(jwk: Mapping[str, Any]) -> Callable[[bytes, bytes], bool]:
    """Return what verifies a message's signature by a public key (RFC 7518, section 3.4).

    Raises:
        TypeError: A coordinate is no text.
        ValueError: One is not canonical, or the point is not on the curve.
    """
    x, y = (_coordinate(jwk[name]) for name in ("x", "y"))
    if (y * y - x * x * x + 3 * x - B) % P:
        raise ValueError("the point is not on the curve")
    generator, key = (*GENERATOR, 1), (x, y, 1)
    sums = {(1, 0): generator, (0, 1): key, (1, 1): _added(generator, key)}

    def verifies(message: bytes, signature: bytes) -> bool:
        r, s = (int.from_bytes(half, "big") for half in (signature[:BYTES], signature[BYTES:]))
        if len(signature) != 2 * BYTES or not (0 < r < N and 0 < s < N):
            return False
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        inverse = pow(s, -1, N)
        point = _multiplied(digest * inverse % N, r * inverse % N, sums)
        return point[2] != 0 and _x(point) % N == r

    return verifies


def _coordinate(text: str) -> int:
    raw = base64url.decode(text)
    number = int.from_bytes(raw, "big")
    if len(raw) != BYTES or number >= P:
        raise ValueError("not a coordinate")
    return number


def _multiplied(first: int, second: int, sums: Mapping[tuple[int, int], Point]) -> Point:
    """Return the sum of two multiples, bit by bit of both at once."""
    point = INFINITY
    for bit in range(N.bit_length() - 1, -1, -1):
        point = _doubled(point)
        bits = (first >> bit & 1, second >> bit & 1)
        if bits != (0, 0):
            point = _added(point, sums[bits])
    return point


def _doubled(point: Point) -> Point:
    # https://hyperelliptic.org/EFD/g1p/auto-shortw-jacobian-3.html, dbl-2001-b
    x, y, z = point
    delta, gamma = z * z % P, y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, 2 * y * z % P


def _added(one: Point, other: Point) -> Point:
    # The same, add-1998-cmo-2.
    if not one[2]:
        return other
    if not other[2]:
        return one
    (x1, y1, z1), (x2, y2, z2) = one, other
    u1, u2 = x1 * z2 * z2 % P, x2 * z1 * z1 % P
    s1, s2 = y1 * z2 * z2 * z2 % P, y2 * z1 * z1 * z1 % P
    if u1 == u2:
        return _doubled(one) if s1 == s2 else INFINITY
    h, r = u2 - u1, s2 - s1
    square = h * h % P
    cube, v = h * square % P, u1 * square % P
    x3 = (r * r - cube - 2 * v) % P
    return x3, (r * (v - x3) - s1 * cube) % P, z1 * z2 * h % P


def _x(point: Point) -> int:
    x, _, z = point
    return x * pow(z, -2, P) % P
