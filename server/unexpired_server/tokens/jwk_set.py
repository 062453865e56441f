"""JWK sets: the public keys of a document, parsed strictly (RFC 7517, RFC 7518, RFC 8037).

A set may hold keys that are not for us, or that nobody can use: those are skipped, and the others
work (RFC 7517, section 5). A key's algorithms follow from the key itself, and never from a token.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.strict_json import read_object

ALGORITHMS = frozenset({
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
})  # fmt: skip
"""Only public-key algorithms: every holder of an HMAC secret can also sign."""

PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""A private key that was published proves nothing any more."""

MAXIMUM_KEYS = 100


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
    from unexpired_server.tokens.public_keys import READERS  # noqa: PLC0415 - see there

    kid = jwk.get("kid", "")
    read = READERS.get(str(jwk.get("kty")))
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
