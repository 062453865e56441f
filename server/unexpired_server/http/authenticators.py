"""Who sends a request, by the access token in it: our own service's, or another issuer's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from starlette.requests import HTTPConnection

from unexpired_server.errors import TokenInvalid
from unexpired_server.http.bearer import BearerAuthenticator, authorization
from unexpired_server.http.request_urls import RequestURLs
from unexpired_server.sessions.user import User
from unexpired_server.tokens.access_tokens import Claims
from unexpired_server.tokens.timed_proofs import Call
from unexpired_server.tokens.token_verifier import TokenVerifier

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

    async def verify(self, request: HTTPConnection, token: str, proof: str | None) -> Claims:
        """Return the verified claims of a token from a message, or raise the failure.

        Args:
            request: What the proof is for.
            token: The token.
            proof: The proof that came with it.
        """
        ...

    async def verify_again(self, token: str) -> Claims:
        """Return the claims of a token that was verified before, or raise the failure."""
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
        return await self._bearer.authenticate(request)

    async def verify(self, request: HTTPConnection, token: str, proof: str | None) -> Claims:
        """Return the verified claims of a token; needs no query, and counts nothing."""
        if proof is None:
            return self._bearer.verify(token)
        return await self._bearer.verify_proven(request, token, proof)

    async def verify_again(self, token: str) -> Claims:
        """Return the claims of a token that was verified before; needs no query."""
        return self._bearer.verify_again(token)


class RemoteAuthenticator:
    """Verifies the tokens of another issuer, whose ended sessions are not known here.

    Args:
        verifier: Verifies the issuer's tokens.
        public_url: The URL that clients use for this service; the requests' ``Host`` when None.
    """

    strict: bool = False

    def __init__(self, verifier: TokenVerifier, public_url: str | None = None) -> None:
        self.now: Callable[[], float] = time.time
        self._verifier = verifier
        self._urls = RequestURLs(public_url)

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request."""
        headers = authorization(request)
        if len(headers) > 1:  # A proxy may have checked the other one.
            raise TokenInvalid
        header = headers[0] if headers else None
        proofs = request.headers.getlist("dpop")
        # Several proofs are none: they are joined to what no proof can be.
        call = self._call(request, ",".join(proofs)) if proofs else None
        return await self._verifier.authenticate(header, call)

    async def verify(self, request: HTTPConnection, token: str, proof: str | None) -> Claims:
        """Return the verified claims of a token."""
        call = None if proof is None else self._call(request, proof)
        return await self._verifier.verify(token, call)

    async def verify_again(self, token: str) -> Claims:
        """Return the claims of a token that was verified before."""
        return await self._verifier.verify_again(token)

    def _call(self, request: HTTPConnection, proof: str) -> Call:
        """Return a request with its proof, which must name it."""
        return Call(request.scope.get("method", "GET"), self._urls.of(request), proof)


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
