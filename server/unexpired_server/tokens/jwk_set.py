"""JWK sets: the public keys of a document, parsed strictly (RFC 7517, RFC 7518, RFC 8037).

A set may hold keys that are not for us, or that nobody can use: those are skipped, and the others
work (RFC 7517, section 5). A key's algorithms follow from the key itself, and never from a token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from unexpired_server.tokens import base64url
from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.strict_json import read_object

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "P-256": ("ES256", ec.SECP256R1()),
    "P-384": ("ES384", ec.SECP384R1()),
    "P-521": ("ES512", ec.SECP521R1()),
}
ALGORITHMS = frozenset({*RSA_ALGORITHMS, *(alg for alg, _ in CURVES.values()), "EdDSA"})
"""Only public-key algorithms: every holder of an HMAC secret can also sign."""

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""A private key that was published proves nothing any more."""

MAXIMUM_KEYS = 100
RSA_EXPONENTS = range(3, 1 << 32)
RSA_BITS = range(2048, 8193)
"""Smaller keys can be broken (RFC 7518, section 3.3); larger ones only cost time."""

ED25519_LENGTH = 32
ED25519_PRIME = 2**255 - 19
SMALL_ORDER = frozenset(
    {
        0,
        1,
        ED25519_PRIME - 1,
        ED25519_PRIME,
        ED25519_PRIME + 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7,
    }
)
"""The y coordinates of points of small order: for such a key anyone can make signatures."""


class KeySet:
    """Public keys by their id and algorithm: an RSA key may be for several algorithms.

    Args:
        keys: The keys. Of two with one id and algorithm the first is used.
    """

    def __init__(self, keys: Iterable[VerifyingKey]) -> None:
        self._named: dict[tuple[str, str], VerifyingKey] = {}
        self._of_algorithm: defaultdict[str, list[VerifyingKey]] = defaultdict(list)
        for key in keys:
            if not key.kid or self._named.setdefault((key.kid, key.alg), key) is key:
                self._of_algorithm[key.alg].append(key)

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id and for this algorithm.

        Without an id there must be exactly one key for the algorithm (RFC 7515, section 4.1.4):
        it is never guessed.
        """
        if not isinstance(alg, str):
            return None
        if isinstance(kid, str) and kid:
            return self._named.get((kid, alg))
        fitting = self._of_algorithm.get(alg, []) if kid is None or kid == "" else []
        return fitting[0] if len(fitting) == 1 else None


def keys_in(document: bytes, algorithms: Collection[str] = ALGORITHMS) -> KeySet:
    """Return the usable keys of a JWK set.

    Args:
        document: The set, as JSON.
        algorithms: The algorithms that are accepted.

    Raises:
        ValueError: The document is not a JWK set, or has too many keys.
    """
    listed = read_object(document).get("keys")
    if not isinstance(listed, list) or len(listed) > MAXIMUM_KEYS:
        raise ValueError("not a JWK set, or too many keys")
    return KeySet(key for jwk in listed for key in _keys_of(jwk) if key.alg in algorithms)


def _keys_of(jwk: Any) -> Iterator[VerifyingKey]:
    """Yield one key for each algorithm of a JWK; none when it cannot be used."""
    if not isinstance(jwk, dict) or not _is_for_verification(jwk):
        return
    kid = jwk.get("kid", "")
    read = _READERS.get(str(jwk.get("kty")))
    if not isinstance(kid, str) or read is None:
        return
    try:
        algorithms, material = read(jwk)
    except (ValueError, KeyError, TypeError):
        return
    for alg in algorithms:
        if jwk.get("alg", alg) == alg:
            yield VerifyingKey(kid, alg, material)


def _is_for_verification(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        not PRIVATE_MEMBERS & jwk.keys()
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _rsa(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    n, e = _number(jwk["n"]), _number(jwk["e"])
    if n.bit_length() not in RSA_BITS or e not in RSA_EXPONENTS:
        raise ValueError("an RSA key of another size")
    return RSA_ALGORITHMS, rsa.RSAPublicNumbers(e, n).public_key()


def _elliptic(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    return (CURVES[jwk["crv"]][0],), elliptic_key(jwk)


def elliptic_key(jwk: dict[str, Any]) -> ec.EllipticCurvePublicKey:
    """Return the public key of a JWK on a curve (RFC 7518, section 6.2).

    Raises:
        KeyError: The curve is not one of ours, or a member is missing.
        TypeError: A member is no text.
        ValueError: A coordinate is not canonical, or the point is not on the curve.
    """
    _, curve = CURVES[jwk["crv"]]
    raw_x, raw_y = base64url.decode(jwk["x"]), base64url.decode(jwk["y"])
    # Each is as long as the field, leading zeros included (RFC 7518, section 6.2.1.2).
    if {len(raw_x), len(raw_y)} != {(curve.key_size + 7) // 8}:
        raise ValueError("coordinates of another length")
    x, y = int.from_bytes(raw_x, "big"), int.from_bytes(raw_y, "big")
    # It refuses a point that is not on the curve.
    return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()


def _edwards(jwk: dict[str, Any]) -> tuple[Collection[str], PublicKey]:
    raw = base64url.decode(jwk["x"])
    if jwk["crv"] != "Ed25519" or len(raw) != ED25519_LENGTH:
        raise ValueError("another curve or length")
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= ED25519_PRIME or y in SMALL_ORDER:
        raise ValueError("not a point that only one key has")
    return ("EdDSA",), ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _number(text: str) -> int:
    raw = base64url.decode(text)
    if not raw or raw[0] == 0:
        raise ValueError("not the shortest form of a number")  # RFC 7518, section 2
    return int.from_bytes(raw, "big")


_READERS: dict[str, Callable[[dict[str, Any]], tuple[Collection[str], PublicKey]]] = {
    "RSA": _rsa,
    "EC": _elliptic,
    "OKP": _edwards,
}
