"""Authentication by access token: from a request's headers to verified claims.

A token is a bearer token (RFC 6750), or bound to a key: then each request needs a proof that its
client has the key (RFC 9449, section 7).
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import HTTPConnection

from unexpired_server.errors import (
    BEARER,
    DPOP,
    Failure,
    InvalidProof,
    SessionRevoked,
    TokenMissing,
)
from unexpired_server.http.client_address import address_text
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.ops.metrics import Metrics
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.tokens.access_tokens import AccessTokens, Claims
from unexpired_server.tokens.authorization import access_token

ADDRESS_LENGTH = 64


class BearerAuthenticator:
    """Authenticates requests by their access token.

    Args:
        tokens: Verifies access tokens.
        revocations: The sessions that ended before their access tokens expire.
        metrics: Counts the outcomes.
        check: Raises Unavailable while the service does not run: without its lifespan no
            revocation would be known.
        proofs: Verifies proofs of the keys that tokens are bound to.
        binds: Whether access tokens are bound; then a request without one learns of both schemes.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    def __init__(  # noqa: PLR0913 - a token is verified with these
        self,
        tokens: AccessTokens,
        revocations: Revocations,
        metrics: Metrics,
        check: Callable[[], None],
        proofs: ProofChecker,
        *,
        binds: bool = False,
        strict: bool = False,
    ) -> None:
        self.strict: bool = strict
        self._check = check
        self._tokens = tokens
        self._revocations = revocations
        self._verifications = metrics.verifications
        self._accepted = metrics.verifications.labels("OK")  # Looked up once, not for each.
        self._proofs = proofs
        self._schemes = f"{BEARER}, {DPOP}" if binds else BEARER

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request.

        Raises:
            TokenMissing: It has no access token.
            TokenInvalid: It has more than one, or one that is not ours.
            TokenError: Its token is not valid yet.
            TokenExpired: Its token has expired.
            SessionRevoked: Its session was signed out or revoked.
            InvalidProof: Its token is bound to a key, and it does not prove to have the key.
            UseDPoPNonce: Its proof needs a newer nonce.
            Unavailable: The service does not run, so revocations are unknown.
        """
        try:
            claims = await self._verified(request)
        except Failure as failure:
            self._verifications.labels(failure.code).inc()
            raise
        self._accepted.inc()
        return claims

    async def _verified(self, request: HTTPConnection) -> Claims:
        self._check()  # First: without it no response may say what is missing in a header.
        try:
            scheme, token = access_token(*authorization(request))
        except TokenMissing as failure:
            failure.scheme = self._schemes
            raise
        if scheme == "dpop":
            return await self._proven(request, token)
        return self.verify(token)

    def verify(self, token: str) -> Claims:
        """Return the verified claims of a bearer token from elsewhere; count nothing.

        Raises:
            InvalidProof: The token is bound to a key, so it is no bearer token.
            Challenge: The token is refused, as in ``authenticate``.
            Unavailable: The service does not run, so revocations are unknown.
        """
        claims = self.verify_again(token)
        # Who accepts such a token as a bearer token, accepts it from a thief (RFC 9449, 7.2).
        if claims.jkt is not None:
            raise InvalidProof
        return claims

    async def verify_proven(self, request: HTTPConnection, token: str, proof: str) -> Claims:
        """Return the verified claims of a token that came with a proof, both in a message.

        Args:
            request: What the proof is for.
            token: The token.
            proof: The proof; not looked at where the token is a bearer token.

        Raises:
            Challenge: The token or its proof is refused, as in ``authenticate``.
            Unavailable: The service does not run, so revocations are unknown.
        """
        claims = self.verify_again(token)
        if claims.jkt is not None:
            await self._proofs.check_text(proof, request, token, claims.jkt)
        return claims

    def verify_again(self, token: str) -> Claims:
        """Return the claims of a token whose proof was verified when it came; asks for none.

        Raises:
            Challenge: The token is refused, as in ``authenticate``.
            Unavailable: The service does not run, so revocations are unknown.
        """
        self._check()
        claims = self._tokens.verify(token)
        if claims.session_id in self._revocations:
            raise SessionRevoked
        return claims

    async def _proven(self, request: HTTPConnection, token: str) -> Claims:
        claims = self.verify_again(token)
        if claims.jkt is None:
            raise InvalidProof
        await self._proofs.check_call(request, token, claims.jkt)
        return claims


def authorization(request: HTTPConnection) -> list[bytes]:
    """Return the values of a request's Authorization headers."""
    return [value for name, value in request.scope["headers"] if name == b"authorization"]


def address_of(request: HTTPConnection) -> str | None:
    """Return the client's address, as the trusted proxies report it."""
    if request.client is None:
        return None
    host = request.client.host
    # Another application's middleware may set any text, of any length.
    return address_text(host) or host[:ADDRESS_LENGTH]
