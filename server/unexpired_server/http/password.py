"""Password authentication: from a username and a password to a user, within the rate limits."""

from __future__ import annotations

from unexpired_server.errors import BadCredentials
from unexpired_server.http.rate_limits import SignInLimits
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.usernames import canonical
from unexpired_server.sessions.users import Account, Users


class PasswordAuthenticator:
    """Authenticates users by their password.

    Args:
        users: Finds users.
        passwords: Verifies passwords.
        sessions: Records failures.
        limits: The limits of sign-ins.
    """

    def __init__(
        self, users: Users, passwords: Passwords, sessions: Sessions, limits: SignInLimits
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._sessions = sessions
        self._limits = limits

    async def authenticate(self, username: str, password: str, address: str | None) -> Account:
        """Return the user.

        Args:
            username: As typed.
            password: As typed.
            address: The client's address.

        Raises:
            BadCredentials: The username is unknown, or the password is wrong.
            RateLimited: The account or the address has failed too often.
            Unavailable: The database does not respond, or too many passwords are being verified.
        """
        name = canonical(username)
        await self._limits.check(name, address)
        user = await self._users.find(username)
        is_correct = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not is_correct:
            await self.refuse(username, user, address)
            raise BadCredentials
        # Checked again: many guesses at once all pass the first check, and the response must not
        # reveal which of them was correct.
        await self._limits.check(name, address)
        return user

    async def refuse(self, username: str, user: Account | None, address: str | None) -> None:
        """Count and record a failed sign-in.

        Args:
            username: As typed.
            user: The user with that name, if there is one.
            address: The client's address.

        Raises:
            RateLimited: The account or the address has failed too often.
            Unavailable: The database does not respond.
        """
        await self._limits.count_failure(canonical(username), address)
        await self._sessions.note_failed_sign_in(user, address)
