"""The file that holds the signing keys, and the steps of a key's life.

A key is made, waits until every node has read of it, signs, verifies what it signed until the
last of that has died, and is retired. Nothing here ever changes a key itself.
"""

import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unexpired.secret_strength import weaknesses
from unexpired_server.settings import Algorithm, SettingsError
from unexpired_server.tokens import base64url

KEY_ID_BYTES = 8

ACTIVATION_DELAY = 10.0
"""Seconds from making a key to signing with it: every node looks at the file more often."""


class KeyEntry(BaseModel):
    """One key as the file has it.

    Attributes:
        kid: Its id, in hexadecimal.
        alg: The one algorithm that it is for.
        created: When it was made, for people.
        secret: An HMAC secret as text, or a private key as PKCS 8 in base64url.
        signs_from: From when it signs, in Unix seconds; only the first key has none.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, hide_input_in_errors=True)

    kid: str = Field(pattern=r"^[0-9a-f]{16}\z")
    alg: Algorithm
    created: str = ""
    secret: str = Field(repr=False)
    signs_from: float | None = None


class KeyFile(BaseModel):
    """The whole file; `active` signs until one whose time has come takes over."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, hide_input_in_errors=True)

    active: str
    keys: tuple[KeyEntry, ...]

    def signing(self, now: float) -> str:
        """The id of the key that signs at a time."""
        started = [key for key in self.keys if key.signs_from is not None and key.signs_from <= now]
        return max(started, key=_start).kid if started else self.active

    def stopped_at(self, kid: str, now: float) -> float | None:
        """When a key stopped signing; None when it signs now, or later."""
        mine = next(_start(key) for key in self.keys if key.kid == kid)
        later = [_start(key) for key in self.keys if mine < _start(key) <= now]
        return min(later, default=None)


def _start(key: KeyEntry) -> float:
    return key.signs_from or 0.0


def new_entry(alg: Algorithm, signs_from: float | None = None) -> KeyEntry:
    """A fresh key from the system's random source."""
    return KeyEntry(
        kid=secrets.token_hex(KEY_ID_BYTES),
        alg=alg,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        secret=_MAKERS[alg](),
        signs_from=signs_from,
    )


def new_secret() -> str:
    """A fresh 256-bit secret from the system's random source, as base64url."""
    text = secrets.token_urlsafe(32)
    # One in a million looks as if it had a pattern; then the server would refuse its own key.
    return new_secret() if weaknesses(text) else text


def read(path: Path) -> KeyFile:
    """Read the file.

    Raises:
        SettingsError: It is unreadable, open to others, or damaged.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
        file = KeyFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as exc:
        raise SettingsError(f"{path} is not a readable key file ({type(exc).__name__})") from None
    if file.active not in {key.kid for key in file.keys}:
        raise SettingsError(f"{path} is not a readable key file (its active key is missing)")
    return file


def create(path: Path, alg: Algorithm) -> None:
    """Make the file with a first key, unless another process is quicker; then that one counts."""
    entry = new_entry(alg)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path, KeyFile(active=entry.kid, keys=(entry,)))
    try:
        # A link appears whole or not at all, and never replaces the file of another process.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def rotate(path: Path, alg: Algorithm, signs_from: float) -> KeyEntry:
    """Add a key that signs from a time on; the present ones go on verifying.

    Args:
        path: The file.
        alg: What the new key is for.
        signs_from: Unix seconds; every node must have read the file by then.

    Raises:
        SettingsError: The file is unreadable, open to others, or damaged.
    """
    file, entry = read(path), new_entry(alg, signs_from)
    _draft(path, file.model_copy(update={"keys": (*file.keys, entry)})).replace(path)
    return entry


def retire(path: Path, kid: str, now: float) -> None:
    """Take a key that does not sign out of the file: what it signed is invalid from now on.

    Raises:
        SettingsError: There is no such key, or it signs now or later.
    """
    file = read(path)
    if kid not in {key.kid for key in file.keys}:
        raise SettingsError(f"There is no key {kid}.")
    if file.stopped_at(kid, now) is None:
        raise SettingsError(f"Key {kid} signs, now or soon. First: python -m server key rotate")
    rest = tuple(key for key in file.keys if key.kid != kid)
    _draft(path, KeyFile(active=file.signing(now), keys=rest)).replace(path)


def _draft(path: Path, file: KeyFile) -> Path:
    """Write the content beside the file, so that the file itself is never half written."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(file.model_dump_json(indent=2, exclude_none=True) + "\n")
        out.flush()
        os.fsync(out.fileno())
    return draft


def _private(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return base64url.encode(raw)


_MAKERS: dict[Algorithm, Callable[[], str]] = {
    "HS256": new_secret,
    "EdDSA": lambda: _private(ed25519.Ed25519PrivateKey.generate()),
    "ES256": lambda: _private(ec.generate_private_key(ec.SECP256R1())),
}
