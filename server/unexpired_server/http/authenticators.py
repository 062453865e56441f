"""Who sends a request, by the access token in it: our own service's, or another issuer's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from starlette.requests import HTTPConnection

from unexpired_server.errors import TokenInvalid
from unexpired_server.http.bearer import BearerAuthenticator, authorization
from unexpired_server.sessions.user import User
from unexpired_server.tokens.access_tokens import Claims
from unexpired_server.tokens.authorization import bearer_token
from unexpired_server.tokens.jwks_verifier import JWKSVerifier

NAMES = ("username", "preferred_username")
"""Claims with a name to show: one's own ``claims=``, and OpenID Connect Core 1.0, section 5.1."""


class Authenticator(Protocol):
    """Verifies access tokens.

    Attributes:
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
        now: The clock, in Unix seconds.
    """

    strict: bool
    now: Callable[[], float]

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request, or raise the failure."""
        ...

    async def verify(self, token: str) -> Claims:
        """Return the verified claims of a token, or raise the failure."""
        ...


class LocalAuthenticator:
    """Verifies the tokens of a service in this process, and knows which sessions have ended.

    Args:
        bearer: The service's authenticator.
        now: The service's clock.
    """

    def __init__(self, bearer: BearerAuthenticator, now: Callable[[], float]) -> None:
        self.strict: bool = bearer.strict
        self.now: Callable[[], float] = now
        self._bearer = bearer

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request; needs no query."""
        return self._bearer.authenticate(request)

    async def verify(self, token: str) -> Claims:
        """Return the verified claims of a token; needs no query, and counts nothing."""
        return self._bearer.verify(token)


class RemoteAuthenticator:
    """Verifies the tokens of another issuer, whose ended sessions are not known here.

    Args:
        verifier: Has the issuer's public keys.
    """

    strict: bool = False

    def __init__(self, verifier: JWKSVerifier) -> None:
        self.now: Callable[[], float] = time.time
        self._verifier = verifier

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request."""
        return await self.verify(bearer_token(*authorization(request)))

    async def verify(self, token: str) -> Claims:
        """Return the verified claims of a token."""
        return await self._verifier.verify(token)


def user_of(claims: Claims) -> User:
    """Return the user that a token says.

    Raises:
        TokenInvalid: Its ``sub`` can be no user's id.
    """
    names = (claims.claims.get(name) for name in NAMES)
    username = next((name for name in names if isinstance(name, str)), "")
    try:
        return User(claims.user_id, username, claims.scopes, claims.claims)
    except ValueError:
        raise TokenInvalid from None
