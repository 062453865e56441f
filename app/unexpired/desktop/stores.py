"""Stores for a program's session: a file of its user's, or the system's keyring.

If a store fails, the session is kept in memory until the program ends.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keyring
from keyring.errors import KeyringError, PasswordDeleteError

from unexpired.ports import FallbackStore

if TYPE_CHECKING:
    from unexpired.ports import TokenStore


class FileStore(FallbackStore):
    """A file that only its owner may read, replaced atomically at each change.

    Args:
        path: The file; its folder is created if it is missing.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(_File(Path(path)), OSError, "the session's file")


class KeyringStore(FallbackStore):
    """The system's keyring: Keychain, Credential Locker, Secret Service, KWallet.

    Args:
        service: The name to store the session under, such as the program's.
        username: Distinguishes the sessions of one service.
    """

    def __init__(self, service: str, username: str = "session") -> None:
        super().__init__(_KeyringEntry(service, username), KeyringError, "the keyring")


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> str | None:
        return self._path.read_text("utf-8", errors="replace")

    def save(self, text: str) -> None:
        """Write beside the file, then replace it: a crash leaves the old one or the new."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp: only its owner can read it, and it never follows somebody else's link.
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
            Path(name).replace(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


class _KeyringEntry:
    def __init__(self, service: str, username: str) -> None:
        self._entry = (service, username)

    def load(self) -> str | None:
        return keyring.get_password(*self._entry)

    def save(self, text: str) -> None:
        keyring.set_password(*self._entry, text)

    def clear(self) -> None:
        with contextlib.suppress(PasswordDeleteError):  # There was no entry.
            keyring.delete_password(*self._entry)


if TYPE_CHECKING:
    _file: type[TokenStore] = FileStore
    _keyring: type[TokenStore] = KeyringStore
