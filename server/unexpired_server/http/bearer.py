"""Bearer authentication: from the Authorization header (RFC 6750) to verified claims."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import HTTPConnection

from unexpired_server.errors import SessionRevoked
from unexpired_server.http.client_address import parse_address
from unexpired_server.ops.metrics import Metrics, counted
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.tokens.access_tokens import AccessTokens, Claims
from unexpired_server.tokens.authorization import bearer_token

ADDRESS_LENGTH = 64


class BearerAuthenticator:
    """Authenticates requests by their access token.

    Args:
        tokens: Verifies access tokens.
        revocations: The sessions that ended before their access tokens expire.
        metrics: Counts the outcomes.
        check: Raises Unavailable while the service does not run: without its lifespan no
            revocation would be known.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    def __init__(
        self,
        tokens: AccessTokens,
        revocations: Revocations,
        metrics: Metrics,
        check: Callable[[], None],
        *,
        strict: bool = False,
    ) -> None:
        self.strict: bool = strict
        self._check = check
        self._tokens = tokens
        self._revocations = revocations
        self._verifications = metrics.verifications

    def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the verified claims of a request.

        Raises:
            TokenMissing: It has no bearer token.
            TokenInvalid: It has more than one, or one that is not ours.
            TokenError: Its token is not valid yet.
            TokenExpired: Its token has expired.
            SessionRevoked: Its session was signed out or revoked.
            Unavailable: The service does not run, so revocations are unknown.
        """
        with counted(self._verifications):
            return self._verified(request)

    def _verified(self, request: HTTPConnection) -> Claims:
        self._check()  # Before the header: without it no response may say what is missing there.
        return self.verify(bearer_token(*authorization(request)))

    def verify(self, token: str) -> Claims:
        """Return the verified claims of a token from elsewhere than a header; count nothing.

        Raises:
            Challenge: The token is refused, as in ``authenticate``.
            Unavailable: The service does not run, so revocations are unknown.
        """
        self._check()
        claims = self._tokens.verify(token)
        if claims.session_id in self._revocations:
            raise SessionRevoked
        return claims


def authorization(request: HTTPConnection) -> list[bytes]:
    """Return the values of a request's Authorization headers."""
    return [value for name, value in request.scope["headers"] if name == b"authorization"]


def address_of(request: HTTPConnection) -> str | None:
    """Return the client's address, as the trusted proxies report it."""
    if request.client is None:
        return None
    address = parse_address(request.client.host)
    # Another application's middleware may set any text, of any length.
    return str(address) if address else request.client.host[:ADDRESS_LENGTH]
