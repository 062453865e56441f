"""Proofs of a key, which make a stolen token useless without it: DPoP (RFC 9449).

A proof is a JWT that brings its own public key: it says nothing about who sent it, only that the
same key made this proof and another one. What passes here is authentic and was made for this
request; the caller decides whether it is the right key, fresh and used for the first time.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from unexpired_server.errors import InvalidProof, TokenInvalid
from unexpired_server.tokens import base64url, strict_json
from unexpired_server.tokens.access_tokens import time_of
from unexpired_server.tokens.jws import split_compact
from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.proof_urls import normal_url

TYPE = "dpop+jwt"
ALGORITHM = "ES256"
CURVE = "P-256"

MAXIMUM_LENGTH = 4096
"""Of a proof, in characters. Most have about 500; a URL may be long."""

MAXIMUM_ID_LENGTH = 128
"""Of a ``jti``, in characters; twice what 256 random bits need."""

HEADER_MEMBERS = frozenset({"typ", "alg", "jwk"})
KEY_MEMBERS = frozenset({"kty", "crv", "x", "y"})
"""No other ones: each could change what is signed or by which key, or be a private key."""

CACHE_SIZE = 10_000
"""How many keys are cached: 20 MB at most."""

MAXIMUM_CACHED_HEADER = 512
"""Of a header whose key is cached, in characters. One without white space has about 230."""


ProofKey = Callable[[Mapping[str, Any]], Callable[[bytes, bytes], bool]]
"""Takes a public key on P-256, as a JWK, and returns what verifies a message's signature by it. For
what is not exactly such a key it raises ``ValueError`` or ``TypeError``."""


@dataclass(frozen=True, slots=True)
class _Key:
    jkt: str
    verifies: Callable[[bytes, bytes], bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """An authentic proof for one request.

    Attributes:
        jkt: The thumbprint of its key (RFC 7638).
        jti: Its id, which no other proof by this key has.
        issued_at: When it was made, by the clock of its maker, in Unix seconds.
        nonce: The server's nonce in it, if there is one; not checked yet.
    """

    jkt: str
    jti: str = field(repr=False)
    issued_at: float
    nonce: str | None = field(repr=False)


class ProofVerifier:
    """Verifies proofs.

    Keys are cached by the header that they came in, because a client sends the same one each time.

    Args:
        on_other_url: Called for an authentic proof that names another URL.
        proof_key: Returns what verifies by a key; ``cryptography``'s when None.
    """

    def __init__(
        self, on_other_url: Callable[[], None] = lambda: None, proof_key: ProofKey | None = None
    ) -> None:
        self._on_other_url = on_other_url
        self._proof_key = proof_key or _es256_key
        self._keys: OrderedDict[str, _Key] = OrderedDict()

    def verify(
        self, proof: str, *, method: str, urls: Collection[str], access_token: str | None = None
    ) -> Proof:
        """Verify a proof (RFC 9449, section 4.3, but for the time and a repeat).

        Args:
            proof: The value of the header ``DPoP``.
            method: The request's method.
            urls: The URLs that the request may have had, in their normal form.
            access_token: The token that the proof must be for, if the request has one.

        Raises:
            InvalidProof: It is malformed, not authentic, or for another request.
        """
        try:
            key, payload = self._authenticate(proof)
            self._check_request(payload, method, urls)
            _check_token(payload, access_token)
            return _read(key.jkt, payload)
        except (ValueError, TypeError, KeyError, TokenInvalid, RecursionError):
            raise InvalidProof from None

    def _authenticate(self, proof: str) -> tuple[_Key, dict[str, Any]]:
        header, payload, signature = split_compact(proof, MAXIMUM_LENGTH)
        key = self._keys.get(header) or self._key_in(header)
        message = f"{header}.{payload}".encode("ascii")
        # Two numbers of exactly 32 bytes, neither in DER nor modulo n (RFC 7518, section 3.4).
        if not key.verifies(message, base64url.decode(signature)):
            raise InvalidProof
        self._store(header, key)
        return key, strict_json.read_object(base64url.decode(payload))

    def _key_in(self, header: str) -> _Key:
        jwk = _jwk_in(header)
        return _Key(thumbprint(jwk), self._proof_key(jwk))

    def _store(self, header: str, key: _Key) -> None:
        if len(header) > MAXIMUM_CACHED_HEADER:
            return
        # Only of authentic proofs, so that it costs a signature to displace others.
        self._keys.pop(header, None)  # So that it becomes the last; in threads, unlike a move.
        self._keys[header] = key
        if len(self._keys) > CACHE_SIZE:
            self._keys.popitem(last=False)

    def _check_request(self, payload: dict[str, Any], method: str, urls: Collection[str]) -> None:
        if payload.get("htm") != method:
            raise InvalidProof
        url = _text(payload, "htu")
        if url not in urls and normal_url(url) not in urls:
            self._on_other_url()
            raise InvalidProof


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the thumbprint of a public key on a curve (RFC 7638, section 3)."""
    # The required members in lexicographic order; base64url and names need no escapes.
    members = ",".join(f'"{name}":"{jwk[name]}"' for name in sorted(KEY_MEMBERS))
    return base64url.encode(hashlib.sha256(f"{{{members}}}".encode("ascii")).digest())


def token_hash(access_token: str) -> str:
    """Return the ``ath`` of an access token (RFC 9449, section 4.2)."""
    return base64url.encode(hashlib.sha256(access_token.encode("ascii")).digest())


def _jwk_in(encoded: str) -> dict[str, Any]:
    """Return the key that a header brings, as a JWK.

    Raises:
        ValueError: The header, or its key, is not exactly as it must be.
    """
    header = strict_json.read_object(base64url.decode(encoded))
    jwk = header.get("jwk")
    if header.keys() != HEADER_MEMBERS or not isinstance(jwk, dict) or jwk.keys() != KEY_MEMBERS:
        raise ValueError("other members than a proof has")
    if (header["typ"], header["alg"]) != (TYPE, ALGORITHM):
        raise ValueError("another type or algorithm")
    if (jwk["kty"], jwk["crv"]) != ("EC", CURVE):
        raise ValueError("another kind of key")
    return jwk


def _es256_key(jwk: Mapping[str, Any]) -> Callable[[bytes, bytes], bool]:
    from unexpired_server.tokens.public_keys import elliptic_key  # noqa: PLC0415 - see there

    return VerifyingKey("", ALGORITHM, elliptic_key(jwk)).verifies


def _check_token(payload: dict[str, Any], access_token: str | None) -> None:
    if access_token is not None and payload.get("ath") != token_hash(access_token):
        raise InvalidProof


def _read(jkt: str, payload: dict[str, Any]) -> Proof:
    jti = _text(payload, "jti")
    if len(jti) > MAXIMUM_ID_LENGTH:
        raise InvalidProof
    nonce = _text(payload, "nonce") if "nonce" in payload else None
    return Proof(jkt, jti, time_of(payload, "iat"), nonce)


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidProof
    return value
