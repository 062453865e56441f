"""The key ring: several keys may verify, one signs.

A key carries its algorithm. Verification takes both from the ring, chosen by ``kid``; a token
whose header names another algorithm than its key's is refused (RFC 8725, section 3.1).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jwt
from jwt.algorithms import Algorithm

from unexpired.secret_strength import secret_bytes, weaknesses
from unexpired_server.settings import Settings, SettingsError
from unexpired_server.tokens import base64url, key_file
from unexpired_server.tokens.key_file import KEY_ID_BYTES, KeyEntry

logger: logging.Logger = logging.getLogger("unexpired.server")

COMPACT_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True)
class VerifyingKey:
    """Verifies signatures of one algorithm, with the secret for HS256 or else a public key.

    Args:
        kid: Its id.
        alg: Its one algorithm.
        material: The key as PyJWT has prepared it.
    """

    kid: str
    alg: str
    material: Any = field(repr=False, compare=False)
    _algorithm: Algorithm = field(init=False, repr=False, compare=False)
    _verify: Callable[[bytes, Any, bytes], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Looked up once, because the look-up costs more than verifying.
        algorithm = jwt.get_algorithm_by_name(self.alg)
        object.__setattr__(self, "_algorithm", algorithm)
        object.__setattr__(self, "_verify", _verifier(self.alg, algorithm))

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key made the signature of a message."""
        return self._verify(message, self.material, signature)

    def jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK (RFC 7517, section 4); never called for a secret."""
        public: dict[str, Any] = self._algorithm.to_jwk(self.material, as_dict=True)
        return {**public, "kid": self.kid, "alg": self.alg, "use": "sig"}


def _verifies_hs256(message: bytes, material: Any, signature: bytes) -> bool:
    # PyJWT makes an object of the HMAC, which takes longer than the HMAC.
    return hmac.compare_digest(hmac.digest(material, message, "sha256"), signature)


def _verifier(alg: str, algorithm: Algorithm) -> Callable[[bytes, Any, bytes], bool]:
    """Return how to verify; PyJWT's way where that takes no longer than the primitive."""
    if alg == "HS256":
        return _verifies_hs256
    from unexpired_server.tokens import public_keys  # noqa: PLC0415 - see there

    return public_keys.VERIFIES.get(alg, algorithm.verify)


def _signer(alg: str, material: Any) -> Callable[[bytes], bytes]:
    # A function, whose repr does not contain the key as that of a `partial` does.
    if alg == "HS256":
        return lambda message: hmac.digest(material, message, "sha256")
    from unexpired_server.tokens import public_keys  # noqa: PLC0415 - see there

    return public_keys.signer(alg, material)


def _loaded(secret: bytes, alg: str) -> Any:
    """Return the key in the form that PyJWT prepares."""
    if alg == "HS256":
        return secret
    from unexpired_server.tokens import public_keys  # noqa: PLC0415 - see there

    return public_keys.load(secret)


def _segment(content: dict[str, Any]) -> str:
    return base64url.encode(COMPACT_JSON.encode(content).encode("ascii"))


@dataclass(frozen=True)
class Key:
    """One key, bound to one algorithm; its repr does not contain the key.

    Args:
        kid: Its id, 8 bytes in hexadecimal.
        secret: An HMAC secret, or a private key as PKCS 8.
        alg: HS256, EdDSA or ES256.
    """

    kid: str
    secret: bytes = field(repr=False)
    alg: str = "HS256"
    verifying: VerifyingKey = field(init=False, repr=False, compare=False)
    _signature: Callable[[bytes], bytes] = field(init=False, repr=False, compare=False)
    _headers: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _derived: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        loaded = _loaded(self.secret, self.alg)
        # Checks that the key is one of this algorithm.
        material = jwt.get_algorithm_by_name(self.alg).prepare_key(loaded)
        object.__setattr__(self, "_signature", _signer(self.alg, material))
        public = material.public_key() if self.is_public else material
        object.__setattr__(self, "verifying", VerifyingKey(self.kid, self.alg, public))

    @property
    def is_public(self) -> bool:
        """Whether others can verify with it without being able to sign."""
        return self.alg != "HS256"

    def sign(self, payload: dict[str, Any], typ: str) -> str:
        """Sign claims; return a compact JWT of a type."""
        # `jwt.encode` prepares the key and writes the header each time: 7 µs of 12 (HS256).
        message = f"{self._header(typ)}.{_segment(payload)}"
        return f"{message}.{base64url.encode(self._signature(message.encode('ascii')))}"

    def _header(self, typ: str) -> str:
        segment = self._headers.get(typ)
        if segment is None:  # The code names all types, so there are few.
            segment = _segment({"alg": self.alg, "kid": self.kid, "typ": typ})
            self._headers[typ] = segment
        return segment

    def derive(self, purpose: str) -> bytes:
        """Return a 256-bit key for one other purpose, which does not reveal this key."""
        derived = self._derived.get(purpose)
        if derived is None:  # The code names all purposes, too; one takes 1.3 µs.
            derived = hmac.digest(self.secret, f"unexpired {purpose}".encode(), "sha256")
            self._derived[purpose] = derived
        return derived


class Keys(Protocol):
    """The only place where a verifier looks for keys."""

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id and for this algorithm, if there is one."""
        ...


@dataclass
class KeyRing:
    """The keys that verify, and the one of them that signs."""

    active: Key
    keys: Mapping[str, Key]
    previous: tuple[Key, ...] = ()
    """Of earlier secrets: they verify, and never sign."""

    def find(self, kid: object, alg: object) -> VerifyingKey | None:
        """Return the key with this id, if it is on the ring; nothing else is ever looked up."""
        key = self.keys.get(kid) if isinstance(kid, str) else None
        return key.verifying if key and key.alg == alg else None

    def replace_with(self, other: KeyRing) -> None:
        """Take over another ring's keys, for every holder of this one."""
        self.active, self.keys, self.previous = other.active, other.keys, other.previous

    def public(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs (RFC 7517, section 5), never a secret."""
        return [key.verifying.jwk() for key in self.keys.values() if key.is_public]


def ring_of(*keys: Key) -> KeyRing:
    """Return a ring of some keys, of which the first signs."""
    return _ring(keys[0], {key.kid: key for key in keys})


def _ring(active: Key, keys: Mapping[str, Key], previous: tuple[Key, ...] = ()) -> KeyRing:
    # Of a key that is there twice, the one that signs stays.
    earlier = {key.kid: key for key in previous}
    return KeyRing(active, {**earlier, **keys}, previous)


def load_ring(settings: Settings, now: float | None = None) -> KeyRing:
    """Return the ring that the settings name; create a key file when they name none.

    Args:
        settings: The secret, or the keys file and the algorithm.
        now: Unix seconds, which decide which key signs; the system's clock when None.

    Raises:
        SettingsError: The key file is unreadable, readable by other users or holds a weak key,
            or its newest key is for another algorithm.
    """
    previous = tuple(_from_secret(one.get_secret_value()) for one in settings.previous_secrets)
    if settings.secret is not None:
        active = _from_secret(settings.secret.get_secret_value())
        return _ring(active, {active.kid: active}, previous)
    path = settings.keys_file
    if not path.exists():
        key_file.create(path, settings.algorithm)
    file = key_file.read(path)
    if file.keys[-1].alg != settings.algorithm:
        raise SettingsError(
            f"Setting algorithm: the newest key in {path} is for {file.keys[-1].alg}. "
            f"Make one: unexpired-server key rotate --algorithm {settings.algorithm}"
        )
    return _read(path, time.time() if now is None else now, previous)


def reload_ring(ring: KeyRing, path: Path, now: float) -> None:
    """Bring a ring up to date with the key file; an unusable file changes nothing.

    Args:
        ring: The ring that everything shares.
        path: The file.
        now: Unix seconds.
    """
    try:
        current = _read(path, now, ring.previous)
    except SettingsError as exc:
        logger.error("keeping the present keys: %s", exc)  # noqa: TRY400 - one sentence
        return
    # Only when something changed: cached tokens hold the key object that verified them.
    if current != ring:
        ring.replace_with(current)
        logger.info("the keys have changed; %s signs", ring.active.kid)


def _read(path: Path, now: float, previous: tuple[Key, ...]) -> KeyRing:
    file = key_file.read(path)
    try:
        keys = {entry.kid: _key(entry) for entry in file.keys}
    except (ValueError, TypeError, jwt.InvalidKeyError):
        raise SettingsError(f"{path} is not a readable key file (a key is damaged)") from None
    return _ring(keys[file.signing(now)], keys, previous)


def _key(entry: KeyEntry) -> Key:
    if entry.alg != "HS256":
        return Key(entry.kid, base64url.decode(entry.secret), entry.alg)
    if reasons := weaknesses(entry.secret):
        raise SettingsError(f"Key {entry.kid} of the key file is too weak: {' and '.join(reasons)}")
    return Key(entry.kid, secret_bytes(entry.secret))


def _from_secret(text: str) -> Key:
    raw = secret_bytes(text.strip())
    # The id must be the same on every node with this secret, and reveal nothing about it.
    digest = hmac.digest(raw, b"unexpired key id", hashlib.sha256)
    return Key(kid=digest[:KEY_ID_BYTES].hex(), secret=raw)
