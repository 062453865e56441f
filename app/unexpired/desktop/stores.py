"""Where a program keeps a session: a file of its user's, or the system's keyring."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keyring
from keyring.errors import KeyringError, PasswordDeleteError

if TYPE_CHECKING:
    from unexpired.ports import TokenStore

_log = logging.getLogger("unexpired")


class FileStore:
    """A file that its owner alone may read, replaced whole at each change.

    What cannot be written is kept in memory for as long as the program runs.

    Args:
        path: the file; its folder is made when it is missing.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._unsaved: str | None = None

    def load(self) -> str | None:
        """Return what is stored, or None."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            return self._path.read_text("utf-8", errors="replace")
        except OSError:
            return None

    def save(self, text: str) -> None:
        """Store the text, in memory if it cannot be written."""
        try:
            self._replace(text)
        except OSError as error:
            _log.warning("the session's file cannot be written: %s", error.strerror)
            self.clear()  # An older session must not come back at the next start.
            self._unsaved = text
        else:
            self._unsaved = None

    def clear(self) -> None:
        """Remove the file."""
        self._unsaved = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("the session's file cannot be removed: %s", error.strerror)

    def _replace(self, text: str) -> None:
        """Write beside the file, then take its place: a crash leaves the old one or the new."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp: readable by its owner alone, and never through somebody else's link.
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


class KeyringStore:
    """The system's keyring: Keychain, Credential Locker, Secret Service, KWallet.

    What it does not take is kept in memory for as long as the program runs.

    Args:
        service: the name to keep the session under, such as the program's.
        username: tells sessions of one service apart.
    """

    def __init__(self, service: str, username: str = "session") -> None:
        self._entry = (service, username)
        self._unsaved: str | None = None

    def load(self) -> str | None:
        """Return what is stored, or None."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            return keyring.get_password(*self._entry)
        except KeyringError:
            return None

    def save(self, text: str) -> None:
        """Store the text, in memory if the keyring is locked or missing."""
        try:
            keyring.set_password(*self._entry, text)
        except KeyringError:
            _log.warning("the keyring is locked or missing: kept in memory")
            self.clear()
            self._unsaved = text
        else:
            self._unsaved = None

    def clear(self) -> None:
        """Remove what is stored."""
        self._unsaved = None
        try:
            keyring.delete_password(*self._entry)
        except PasswordDeleteError:
            return  # There was nothing.
        except KeyringError:
            _log.warning("the keyring is locked or missing")


if TYPE_CHECKING:
    _file: type[TokenStore] = FileStore
    _keyring: type[TokenStore] = KeyringStore
