"""What an access token says of its user beside the id: scopes, and claims of the application's.

All is decided and checked before a session is opened or refreshed, so that no session is ahead of
its tokens.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

from unexpired_server.errors import ServerFault
from unexpired_server.sessions.directory import SECONDS, bounded
from unexpired_server.sessions.user import ClaimsHook, User
from unexpired_server.sessions.users import Account
from unexpired_server.tokens.access_tokens import AccessTokens

logger: logging.Logger = logging.getLogger("unexpired.server")


class Grants:
    """Asks the application's hook for claims.

    Args:
        hook: Returns further claims for a user, if the application has any.
        tokens: Checks that a token can hold them.
    """

    def __init__(self, hook: ClaimsHook | None, tokens: AccessTokens) -> None:
        self._hook = hook
        self._tokens = tokens

    @property
    def has_hook(self) -> bool:
        """Whether tokens have claims of the application's."""
        return self._hook is not None

    async def of(self, user: User) -> Mapping[str, Any]:
        """Return the further claims of a user's next access token.

        Raises:
            Unavailable: The hook failed.
            ServerFault: A token cannot hold what it returned; the log says why.
        """
        claims = await self._asked(user)
        try:
            self._tokens.check(user.id, user.scopes, claims)
        except (TypeError, ValueError) as exc:
            # The message names claims, and never their values.
            logger.error("no access token can be issued: %s", exc)  # noqa: TRY400 - one sentence
            raise ServerFault from None
        return claims

    async def _asked(self, user: User) -> Mapping[str, Any]:
        if self._hook is None:
            return {}
        async with bounded("the claims= hook", SECONDS):
            claims = self._hook(user.without_password() if isinstance(user, Account) else user)
            return await claims if inspect.isawaitable(claims) else claims
