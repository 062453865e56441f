"""Keeps the verifiers of sign-ins at the provider, in this tab."""

from __future__ import annotations

import json

import js

from unexpired import SignInFailed
from unexpired.outside_text import loads
from views.ui.storage import STORAGE_ERRORS

MOST = 5
"""As many sign-ins as the server lets a browser have at once."""


class Verifiers:
    """The newest verifiers by sign-in, in ``sessionStorage``: they never leave this tab.

    Args:
        storage_key: The session's storage key, which prefixes the name of the entry.
    """

    def __init__(self, storage_key: str) -> None:
        self._name = f"{storage_key}:provider-sign-ins"

    def put(self, attempt: str, verifier: str) -> None:
        """Keep the verifier of a sign-in.

        Raises:
            SignInFailed: ``NO_STORAGE``, because the browser blocks storage.
        """
        self._write(dict([*self._read().items(), (attempt, verifier)][-MOST:]))
        if self.get(attempt) != verifier:
            raise SignInFailed("NO_STORAGE")

    def get(self, attempt: str) -> str | None:
        """Return the verifier of a sign-in that was begun in this tab."""
        return self._read().get(attempt)

    def forget(self, attempt: str) -> None:
        """Forget the verifier of a sign-in that is over."""
        self._write({name: value for name, value in self._read().items() if name != attempt})

    def _read(self) -> dict[str, str]:
        try:
            kept = loads(str(js.sessionStorage.getItem(self._name)))
        except (*STORAGE_ERRORS, ValueError):
            return {}
        pairs = kept.items() if isinstance(kept, dict) else ()
        return {name: value for name, value in pairs if isinstance(value, str)}

    def _write(self, verifiers: dict[str, str]) -> None:
        try:
            js.sessionStorage.setItem(self._name, json.dumps(verifiers))
        except STORAGE_ERRORS:
            return
