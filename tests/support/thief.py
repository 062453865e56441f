"""Somebody elsewhere who has copied the session from a person's browser, and tries to use it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import jwt

from tests.support.proof_maker import ProofMaker
from tests.support.server_process import ServerProcess

ADDRESS = "203.0.113.9"
"""Where the thief is, as a trusted proxy says (RFC 5737)."""

KEY_LOST = "this browser no longer has its key"
"""Part of what the page says where it ends a session whose key is missing."""

# All that a script can copy, and put elsewhere.
COPY = """() => ({
  local: Object.entries(localStorage),
  session: Object.entries(sessionStorage),
})"""
PASTE = """({ local, session }) => {
  for (const [key, value] of session) sessionStorage.setItem(key, value);
  for (const [key, value] of local) localStorage.setItem(key, value);
}"""

# The nearest that a page comes to reading a private key.
READ_KEYS = """async () => {
  const opening = indexedDB.open("unexpired-keys");
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
  await new Promise((done) => { opening.onsuccess = done; });
  const asking = opening.result.transaction("keys").objectStore("keys").getAll();
  await new Promise((done) => { asking.onsuccess = done; });
  opening.result.close();
  const readings = asking.result.flatMap(({ privateKey }) => ["jwk", "pkcs8"].map((format) =>
    crypto.subtle.exportKey(format, privateKey).then(() => "read", () => "refused")));
  return Promise.all(readings);
}"""

DELETE_KEYS = """() => new Promise((done, failed) => {
  const request = indexedDB.deleteDatabase("unexpired-keys");
  request.onsuccess = () => done();
  request.onblocked = request.onerror = () => failed("the database is in use");
})"""


def settings_for(mode: str) -> dict[str, float | str]:
    """Return settings of a server whose tokens live for seconds, and that learns where a thief is.

    Args:
        mode: What it asks proofs of, ``refresh`` or ``all``.
    """
    return {"access_ttl": 12, "leeway": 0, "dpop": mode, "trusted_proxies": "127.0.0.1"}


def session_of(record: dict[str, Any]) -> str:
    """Return the server's id of a stored session."""
    claims = jwt.decode(record["accessToken"], options={"verify_signature": False})
    return str(claims["sid"])


class Thief:
    """Sends requests with stolen tokens.

    Args:
        backend: The server that issued them; it has the settings of ``settings_for``.
        record: The session as the page has stored it.
    """

    def __init__(self, backend: ServerProcess, record: dict[str, Any]) -> None:
        self._backend = backend
        self._record = record
        self._maker = ProofMaker()

    def refreshes(self) -> str:
        """Refresh as somebody who knows nothing of proofs; return the answer's code."""
        return self._refresh()

    def refreshes_by_own_key(self) -> str:
        """Refresh with a flawless proof by a key of the thief's; return the answer's code."""
        url = f"{self._backend.url}/api/refresh"
        nonce = self._record["nonce"]
        return self._refresh(DPoP=self._maker.proof("POST", url, nonce=nonce))

    def calls(self) -> tuple[int, str]:
        """Use the access token as a bearer token; return the status and the code."""
        return self._call(f"Bearer {self._record['accessToken']}")

    def calls_by_own_key(self) -> tuple[int, str]:
        """Use the access token with a proof by a key of the thief's."""
        token, nonce = self._record["accessToken"], self._record["nonce"]
        url = f"{self._backend.url}/api/me"
        proof = self._maker.proof("GET", url, nonce=nonce, access_token=token)
        return self._call(f"DPoP {token}", DPoP=proof)

    def _refresh(self, **headers: str) -> str:
        body = {"refreshToken": self._record["refreshToken"], "attempt": "stolen" * 4}
        headers["X-Forwarded-For"] = ADDRESS
        return _code(self._backend.post("/api/refresh", body, **headers)[1])

    def _call(self, authorization: str, **headers: str) -> tuple[int, str]:
        headers |= {"Authorization": authorization, "X-Forwarded-For": ADDRESS}
        status, body = self._backend.ask("GET", "/api/me", None, **headers)
        return status, _code(body)


def _code(body: dict[str, Any]) -> str:
    return str(body.get("code", "OK"))


def refused_proofs(backend: ServerProcess, session: str) -> list[tuple[str, str]]:
    """Return the address and the cause of each refusal of a session's proof, as the audit has it.

    Args:
        backend: The server.
        session: The session's id, the ``sid`` of its access tokens.
    """
    path = backend.folder / "data" / "unexpired.sqlite3"
    query = (
        "SELECT address, cause FROM events"
        " WHERE kind = 'refresh_proof_refused' AND session_id = ? ORDER BY id"
    )
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, [session]).fetchall()
