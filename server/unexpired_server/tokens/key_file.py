"""The file with the signing keys, and the stages of a key's life.

A key is created, waits until every node has read the file, signs, then only verifies until the
last token that it signed has expired, and is retired. Nothing here changes an existing key.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unexpired.secret_strength import weaknesses
from unexpired_server.settings import Algorithm, SettingsError

KEY_ID_BYTES = 8

OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""What users other than the owner may do with a file."""

ACTIVATION_DELAY = 10.0
"""Seconds between creating a key and signing with it; every node reads the file more often."""

PUBLISHED_SECONDS = 300
"""How long others may cache our public keys, in seconds."""


class KeyEntry(BaseModel):
    """One key in the file.

    Attributes:
        kid: Its id, in hexadecimal.
        alg: Its one algorithm.
        created: When it was created, for people.
        secret: An HMAC secret as text, or a private key as PKCS 8 in base64url.
        active_from: When it starts to sign, in Unix seconds; only the first key has none. The
            file calls it ``signs_from``, so that older and newer nodes can share a file.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, hide_input_in_errors=True, validate_by_name=True
    )

    kid: str = Field(pattern=r"^[0-9a-f]{16}\z")
    alg: Algorithm
    created: str = ""
    secret: str = Field(repr=False)
    active_from: float | None = Field(
        default=None, validation_alias="signs_from", serialization_alias="signs_from"
    )


class KeyFile(BaseModel):
    """The whole file; the key ``active`` signs until a later one becomes active."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, hide_input_in_errors=True)

    active: str
    keys: tuple[KeyEntry, ...]

    def signing(self, now: float) -> str:
        """Return the id of the key that signs at a time."""
        started = [
            key for key in self.keys if key.active_from is not None and key.active_from <= now
        ]
        return max(started, key=_start).kid if started else self.active

    def stopped_at(self, kid: str, now: float) -> float | None:
        """Return when a key stopped signing; None when it signs now, or will."""
        own_start = next(_start(key) for key in self.keys if key.kid == kid)
        later = [_start(key) for key in self.keys if own_start < _start(key) <= now]
        return min(later, default=None)


def _start(key: KeyEntry) -> float:
    return key.active_from or 0.0


def activation_delay(alg: Algorithm) -> float:
    """Return the seconds after which everyone who verifies has a new key of an algorithm.

    Others learn of a public key only when their copy of the published keys has aged.
    """
    return ACTIVATION_DELAY if alg == "HS256" else ACTIVATION_DELAY + PUBLISHED_SECONDS


def new_entry(alg: Algorithm, active_from: float | None = None) -> KeyEntry:
    """Return a new key from the system's random source."""
    return KeyEntry(
        kid=secrets.token_hex(KEY_ID_BYTES),
        alg=alg,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        secret=new_secret() if alg == "HS256" else _new_private(alg),
        active_from=active_from,
    )


def new_secret() -> str:
    """Return a new 256-bit secret from the system's random source, as base64url."""
    text = secrets.token_urlsafe(32)
    # One in a million looks patterned to the strength check, and the server would refuse it.
    return new_secret() if weaknesses(text) else text


def _new_private(alg: Algorithm) -> str:
    from unexpired_server.tokens.public_keys import new_private  # noqa: PLC0415 - see there

    return new_private(alg)


def read(path: Path) -> KeyFile:
    """Read the file; through symbolic links, as Kubernetes replaces a mounted secret.

    Raises:
        SettingsError: The file is unreadable, readable by other users, or damaged.
    """
    try:
        file = KeyFile.model_validate_json(_private_content(path))
    except (OSError, ValidationError) as exc:
        raise SettingsError(f"{path} is not a readable key file ({type(exc).__name__})") from None
    if file.active not in {key.kid for key in file.keys}:
        raise SettingsError(f"{path} is not a readable key file (its active key is missing)")
    return file


def _private_content(path: Path) -> bytes:
    # Opened once, so that what is checked is what is read; without waiting for a pipe's writer.
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as opened:
        state = os.fstat(opened.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise SettingsError(f"{path} is not a file")
        if state.st_mode & OTHERS and not _is_of_our_group(state):
            raise SettingsError(f"{path} can be read by others; run: chmod 600 {path}")
        return opened.read()


def _is_of_our_group(state: os.stat_result) -> bool:
    """Return whether root gave us a file that only a group of this process can read.

    That is how Kubernetes mounts secrets for a container that does not run as root.
    """
    allowed = state.st_mode & OTHERS == stat.S_IRGRP
    return allowed and state.st_uid == 0 and state.st_gid in {os.getegid(), *os.getgroups()}


def create(path: Path, alg: Algorithm) -> None:
    """Create the file with a first key, unless another process has created it first.

    Raises:
        SettingsError: The file cannot be created.
    """
    entry = new_entry(alg)
    with _writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _draft(path, KeyFile(active=entry.kid, keys=(entry,)))
        try:
            # A link appears whole or not at all, and never replaces another process's file.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def rotate(path: Path, alg: Algorithm, active_from: float) -> KeyEntry:
    """Add a key that signs from a time on; the present keys keep verifying.

    Args:
        path: The file.
        alg: The new key's algorithm.
        active_from: Unix seconds; every node must have read the file by then.

    Raises:
        SettingsError: The file is unreadable, readable by other users, or damaged.
    """
    file, entry = read(path), new_entry(alg, active_from)
    _replace(path, file.model_copy(update={"keys": (*file.keys, entry)}))
    return entry


def retire(path: Path, kid: str, now: float) -> None:
    """Remove a key that no longer signs; tokens that it signed become invalid.

    Raises:
        SettingsError: There is no such key, or it signs now or later.
    """
    file = read(path)
    if kid not in {key.kid for key in file.keys}:
        raise SettingsError(f"There is no key {kid}.")
    if file.stopped_at(kid, now) is None:
        raise SettingsError(f"Key {kid} signs, now or soon. First: unexpired-server key rotate")
    rest = tuple(key for key in file.keys if key.kid != kid)
    _replace(path, KeyFile(active=file.signing(now), keys=rest))


def _replace(path: Path, file: KeyFile) -> None:
    # The file itself, not a symbolic link to it: others may read it by its own name.
    target = path.resolve()
    with _writing(path):
        _draft(target, file).replace(target)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SettingsError(f"{path} cannot be written: {exc.strerror}") from None


def _draft(path: Path, file: KeyFile) -> Path:
    """Write the content beside the file, so that the file itself is never half written."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    content = file.model_dump_json(indent=2, exclude_none=True, by_alias=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(content + "\n")
        out.flush()
        os.fsync(out.fileno())
    return draft
