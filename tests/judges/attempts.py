"""Good and bad proofs, each as a thief or a careless client would present it."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from tests.support.proof_maker import ProofMaker
from unexpired_server.tokens import base64url

HOUR = 3600
HUGE = 2_000
"""Characters; much longer headers are refused by HTTP servers, before anyone reads the proof."""

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order n of P-256."""


@dataclass(frozen=True)
class Target:
    """A request that needs a proof.

    Attributes:
        method: Its method.
        url: Its URL.
        nonce: What the server gave last.
        access_token: The token of a call; None for a refresh.
    """

    method: str
    url: str
    nonce: str
    access_token: str | None = None


@dataclass(frozen=True)
class Attempt:
    """What is sent.

    Attributes:
        proofs: The ``DPoP`` headers.
        scheme: The scheme in ``Authorization``, if it is a call.
        is_repeated: Whether the outcome that counts is that of the same request once more.
    """

    proofs: tuple[str, ...]
    scheme: str = "DPoP"
    is_repeated: bool = False


Make = Callable[[ProofMaker, Target], Attempt]


def good(maker: ProofMaker, to: Target, **changes: Any) -> str:
    """Return a good proof, with changes as ``ProofMaker.proof`` takes them."""
    claims = {"nonce": to.nonce, "access_token": to.access_token, **changes}
    return maker.proof(to.method, to.url, **claims)


def proof(**changes: Any) -> Make:
    return lambda maker, to: Attempt((good(maker, to, **changes),))


def signed(change: Callable[[bytes], bytes]) -> Make:
    """Make proofs whose signature is changed."""
    return lambda maker, to: Attempt((_with_signature(good(maker, to), change),))


def _with_signature(text: str, change: Callable[[bytes], bytes]) -> str:
    message, _, signature = text.rpartition(".")
    return f"{message}.{base64url.encode(change(base64url.decode(signature)))}"


def _numbers(signature: bytes) -> tuple[int, int]:
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def _bytes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _in_der(signature: bytes) -> bytes:
    return encode_dss_signature(*_numbers(signature))


def _negated(signature: bytes) -> bytes:
    """Return the other signature of the same message by the same key."""
    r, s = _numbers(signature)
    return _bytes(r, ORDER - s)


def _another_target(maker: ProofMaker, to: Target) -> Attempt:
    scheme, _, rest = to.url.partition("://")
    host, _, path = rest.partition("/")
    return Attempt((good(maker, to, htu=f"{scheme}://{host}/another/{path}"),))


def _another_host(maker: ProofMaker, to: Target) -> Attempt:
    path = to.url.split("/", 3)[3]
    return Attempt((good(maker, to, htu=f"https://other.example/{path}"),))


def _with_query(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(maker, to, htu=f"{to.url}?a=query#and-a-fragment"),))


def _two(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(maker, to), good(maker, to)))


def _twice(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(maker, to),), is_repeated=True)


def _an_hour_ago(maker: ProofMaker, to: Target, **changes: Any) -> Attempt:
    return Attempt((good(maker, to, iat=int(maker.now()) - HOUR, **changes),))


def _with_long_id(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(maker, to, jti=secrets.token_hex(HUGE // 2)),))


def _by_another_key(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(ProofMaker(maker.now), to),))


def _of_another_key(maker: ProofMaker, to: Target) -> Attempt:
    """The right key is named, another one has signed."""
    return Attempt((good(ProofMaker(maker.now), to, header={"jwk": maker.jwk}),))


def _off_the_curve(maker: ProofMaker, to: Target) -> Attempt:
    y = base64url.encode(_bytes(1))
    return Attempt((good(maker, to, header={"jwk": {**maker.jwk, "y": y}}),))


def _with_private_key(maker: ProofMaker, to: Target) -> Attempt:
    d = base64url.encode(_bytes(maker.key.private_numbers().private_value))
    return Attempt((good(maker, to, header={"jwk": {**maker.jwk, "d": d}}),))


def _with_key_id(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((good(maker, to, header={"jwk": {**maker.jwk, "kid": "k"}}),))


def _unsigned(maker: ProofMaker, to: Target) -> Attempt:
    message = good(maker, to, header={"alg": "none"}).rpartition(".")[0]
    return Attempt((f"{message}.",))


def _with_hmac(maker: ProofMaker, to: Target) -> Attempt:
    """The public key, which everybody knows, is used as a secret."""
    message = good(maker, to, header={"alg": "HS256"}).rpartition(".")[0]
    mac = hmac.digest(json.dumps(maker.jwk).encode(), message.encode(), "sha256")
    return Attempt((f"{message}.{base64url.encode(mac)}",))


def _on_another_curve(maker: ProofMaker, to: Target) -> Attempt:
    key = ec.generate_private_key(ec.SECP384R1())
    numbers = key.public_key().public_numbers()
    x, y = (base64url.encode(one.to_bytes(48, "big")) for one in (numbers.x, numbers.y))
    jwk = {"kty": "EC", "crv": "P-384", "x": x, "y": y}
    message = good(maker, to, header={"alg": "ES384", "jwk": jwk}).rpartition(".")[0]
    signature = key.sign(message.encode(), ec.ECDSA(SHA384()))
    return Attempt((f"{message}.{base64url.encode(signature)}",))


def _with_double_member(maker: ProofMaker, to: Target) -> Attempt:
    header, claims, _ = good(maker, to).split(".")
    text = base64url.decode(header).decode().replace('"alg":', '"alg":"none","alg":', 1)
    message = f"{base64url.encode(text.encode())}.{claims}"
    return Attempt((f"{message}.{base64url.encode(maker.signature(message.encode()))}",))


def _padded(maker: ProofMaker, to: Target) -> Attempt:
    return Attempt((f"{good(maker, to)}==",))


ATTEMPTS: Mapping[str, Make] = {
    "a good proof": proof(),
    # -- Its key
    "no proof, as a bearer token": lambda _, __: Attempt((), scheme="Bearer"),
    "no proof": lambda _, __: Attempt(()),
    "by another key": _by_another_key,
    "by another key, under the name of the right one": _of_another_key,
    # -- Its request
    "another method in `htm`": proof(htm="DELETE"),
    "no `htm`": proof(htm=None),
    "another path in `htu`": _another_target,
    "another host in `htu`": _another_host,
    "no `htu`": proof(htu=None),
    "a query and a fragment in `htu`": _with_query,
    "another token's `ath`": proof(access_token="another"),
    # -- Its time
    "no nonce": proof(nonce=None),
    "a nonce that was made up": proof(nonce="A" * 43),
    "`iat` an hour ago, no nonce": lambda maker, to: _an_hour_ago(maker, to, nonce=None),
    "`iat` an hour ago, the latest nonce": _an_hour_ago,
    "no `iat`": proof(iat=None),
    "`iat` as a text": proof(iat="now"),
    "no `jti`": proof(jti=None),
    "a `jti` of 2,000 characters": _with_long_id,
    "the same proof twice": _twice,
    "two proofs in one request": _two,
    # -- Its form
    "`typ: JWT`": proof(header={"typ": "JWT"}),
    "`alg: none`": _unsigned,
    "`alg: HS256` with the public key": _with_hmac,
    "`alg: ES384` with a key on P-384": _on_another_curve,
    "a private key in `jwk`": _with_private_key,
    "a further member in `jwk`": _with_key_id,
    "a further member in the header": proof(header={"kid": "k"}),
    "`crit` in the header": proof(header={"crit": ["b64"], "b64": True}),
    "a member twice in the header": _with_double_member,
    "a point that is not on the curve": _off_the_curve,
    "padding": _padded,
    # -- Its signature
    "a signature in DER": signed(_in_der),
    "a signature that is too short": signed(lambda raw: raw[:-1]),
    "a signature that is too long": signed(lambda raw: raw + b"\0"),
    "r = 0": signed(lambda raw: _bytes(0) + raw[32:]),
    "s = 0": signed(lambda raw: raw[:32] + _bytes(0)),
    "r = n": signed(lambda raw: _bytes(ORDER) + raw[32:]),
    "s = n": signed(lambda raw: raw[:32] + _bytes(ORDER)),
    "n - s in place of s": signed(_negated),
}
"""What is presented, by its name in the documentation's table."""
