"""Password authentication: from a username and a password to a user, within the rate limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unexpired_server.errors import BadCredentials, Failure, SecondStepRequired
from unexpired_server.http.rate_limits import SignInLimits
from unexpired_server.sessions.directory import Checked, Directory
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.user import User
from unexpired_server.sessions.usernames import canonical

NO_FIELDS: Mapping[str, Any] = {}


class PasswordAuthenticator:
    """Authenticates users by their password.

    Args:
        directory: Where the users come from.
        sessions: Records failures.
        limits: The limits of sign-ins.
    """

    def __init__(self, directory: Directory, sessions: Sessions, limits: SignInLimits) -> None:
        self._directory = directory
        self._sessions = sessions
        self._limits = limits

    async def authenticate(
        self,
        username: str,
        password: str,
        address: str | None,
        fields: Mapping[str, Any] = NO_FIELDS,
    ) -> User:
        """Return the user.

        Args:
            username: As typed.
            password: As typed.
            address: The client's address.
            fields: The further fields of the sign-in, for an application's own users.

        Raises:
            BadCredentials: The username is unknown, or the password is wrong.
            SecondStepRequired: The application wants more than the password.
            RateLimited: The account or the address has failed too often.
            Unavailable: The database does not respond, or too many passwords are being verified.
        """
        name = canonical(username)
        await self._limits.check(name, address)
        checked = await self._check(username, password, address, fields)
        if checked.user is None:
            await self.refuse(username, checked.account_id, address)
            raise BadCredentials
        # Checked again: many guesses at once all pass the first check, and the response must not
        # reveal which of them was correct.
        await self._limits.check(name, address)
        return checked.user

    async def refuse(self, username: str, user_id: str | None, address: str | None) -> None:
        """Count and record a failed sign-in.

        Args:
            username: As typed.
            user_id: The user with that name, where known.
            address: The client's address.

        Raises:
            RateLimited: The account or the address has failed too often.
            Unavailable: The database does not respond.
        """
        await self._limits.count_failure(canonical(username), address)
        await self._sessions.note_failed_sign_in(user_id, address)

    async def _check(
        self, username: str, password: str, address: str | None, fields: Mapping[str, Any]
    ) -> Checked:
        try:
            return await self._directory.check(username, password, fields)
        except BadCredentials:  # The application may raise it in place of returning None.
            await self.refuse(username, None, address)
            raise
        except Failure as failure:
            # It may reveal that the password is right, so it is limited like a success.
            await self._limits.check(canonical(username), address)
            if isinstance(failure, SecondStepRequired):
                self._limits.count_success(canonical(username))
            raise
