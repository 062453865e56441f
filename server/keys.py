"""The key ring: several keys may verify, one signs.

A key carries its algorithm. Verification takes both from the ring, chosen by `kid`, and never
from what a token's header claims (RFC 8725, section 3.1).
"""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import Algorithm

from server.settings import Settings, SettingsError
from server.weakness import secret_bytes, weaknesses

ALGORITHM = "HS256"
KEY_ID_BYTES = 8


@dataclass(frozen=True)
class Key:
    """One key, bound to one algorithm; its repr shows neither the key nor a part of it."""

    kid: str
    secret: bytes = field(repr=False)
    alg: str = ALGORITHM
    _algorithm: Algorithm = field(init=False, repr=False, compare=False)
    _prepared: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Prepared once: looking at the key costs more than verifying with it.
        algorithm = jwt.get_algorithm_by_name(self.alg)
        object.__setattr__(self, "_algorithm", algorithm)
        object.__setattr__(self, "_prepared", algorithm.prepare_key(self.secret))

    def sign(self, payload: dict[str, Any], typ: str) -> str:
        """Sign claims as a compact JWT of a type."""
        headers = {"kid": self.kid, "typ": typ}
        return jwt.encode(payload, self.secret, algorithm=self.alg, headers=headers)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature of a message was made with this key."""
        return self._algorithm.verify(message, self._prepared, signature)

    def derive(self, purpose: str) -> bytes:
        """A 256-bit key for one other purpose, from which this key cannot be found."""
        return hmac.digest(self.secret, f"unexpired {purpose}".encode(), "sha256")


@dataclass(frozen=True)
class KeyRing:
    """The keys that verify, and the one of them that signs."""

    active: Key
    keys: Mapping[str, Key]

    def find(self, kid: object) -> Key | None:
        """The key of this id, if it is on the ring; nothing outside is ever looked up."""
        return self.keys.get(kid) if isinstance(kid, str) else None


def ring_of(*keys: Key) -> KeyRing:
    """A ring of some keys, of which the first signs."""
    return KeyRing(active=keys[0], keys={key.kid: key for key in keys})


def load_ring(settings: Settings) -> KeyRing:
    """The ring that the settings ask for; a key file is made when there is neither.

    Raises:
        SettingsError: The key file is unreadable, open to others, or holds a weak key.
    """
    if settings.secret is not None:
        return ring_of(_from_secret(settings.secret.get_secret_value().strip()))
    if not settings.keys_file.exists():
        _create(settings.keys_file)
    return _read(settings.keys_file)


def new_secret() -> str:
    """A fresh 256-bit secret from the system's random source, as base64url."""
    text = secrets.token_urlsafe(32)
    # One in a million looks as if it had a pattern; then the server would refuse its own key.
    return new_secret() if weaknesses(text) else text


def _from_secret(text: str) -> Key:
    raw = secret_bytes(text)
    # The id must be the same on every node that has the secret, and say nothing about it.
    digest = hmac.digest(raw, b"unexpired key id", hashlib.sha256)
    return Key(kid=digest[:KEY_ID_BYTES].hex(), secret=raw)


def _read(path: Path) -> KeyRing:
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
        content = json.loads(path.read_text("utf-8"))
        keys = [_entry(entry) for entry in content["keys"]]
        by_id = {key.kid: key for key in keys}
        return KeyRing(active=by_id[content["active"]], keys=by_id)
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise SettingsError(f"{path} is not a readable key file ({type(exc).__name__})") from None


def _entry(entry: dict[str, str]) -> Key:
    kid, text = entry["kid"], entry["secret"]
    if len(bytes.fromhex(kid)) != KEY_ID_BYTES or entry["alg"] != ALGORITHM:
        raise ValueError("unknown kind of key")
    if reasons := weaknesses(text):
        raise SettingsError(f"Key {kid} of the key file is too weak: {' and '.join(reasons)}")
    return Key(kid=kid, secret=secret_bytes(text), alg=entry["alg"])


def _create(path: Path) -> None:
    kid = secrets.token_hex(KEY_ID_BYTES)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"kid": kid, "alg": ALGORITHM, "created": created, "secret": new_secret()}
    content = json.dumps({"active": kid, "keys": [entry]}, indent=2)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link appears whole or not at all, and never replaces the file of another process
        # that starts at the same moment: then that one's key is used.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
