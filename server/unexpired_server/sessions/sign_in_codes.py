"""Codes that bring a person back from the provider to the page: used once, and by that page only.

The code is in the address that the browser is sent to, so others may see it: in a history, on a
screen, or because they made it. It is worth nothing without the verifier, which never leaves the
page that began the sign-in until then (as in RFC 7636). So nobody signs a person in as somebody
else either, by giving them a code (login CSRF; RFC 6749, section 10.12).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import delete, insert

from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import sign_in_codes
from unexpired_server.tokens.provider import s256

LIFETIME = 60.0
"""In seconds: the page is loaded in between."""

RANDOM_BYTES = 32


class SignInCodes:
    """Writes codes, and takes each once.

    Args:
        database: The database, which all nodes share.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    async def write(self, user_id: str, challenge: str) -> str:
        """Return a code for a user and the page that has the challenge's verifier.

        Raises:
            Unavailable: The database does not respond.
        """
        code = secrets.token_urlsafe(RANDOM_BYTES)
        row = {
            "code_hash": s256(code),
            "user_id": user_id,
            "challenge": challenge,
            "expires_at": self._now() + LIFETIME,
        }
        await self._database.rows(insert(sign_in_codes).values(row))
        return code

    async def redeem(self, code: str, verifier: str) -> str | None:
        """Use a code up, and return the id of its user; None when it is not good.

        With another verifier it stays good: who sees it can neither use it nor spoil it.

        Raises:
            Unavailable: The database does not respond.
        """
        query = (
            delete(sign_in_codes)
            .where(
                sign_in_codes.c.code_hash == s256(code),
                sign_in_codes.c.challenge == s256(verifier),
                sign_in_codes.c.expires_at > self._now(),
            )
            .returning(sign_in_codes.c.user_id)
        )
        rows = await self._database.rows(query)
        return rows[0].user_id if rows else None

    async def purge(self, now: float) -> None:
        """Delete codes that nobody came for."""
        await self._database.rows(
            delete(sign_in_codes).where(sign_in_codes.c.expires_at < now), is_repeatable=True
        )
