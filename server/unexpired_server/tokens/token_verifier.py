"""What all verifiers of another server's tokens have in common: the header, and the proof."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from unexpired_server.errors import Challenge, InvalidProof
from unexpired_server.tokens.access_tokens import Claims
from unexpired_server.tokens.authorization import CHALLENGES, Scheme, access_token
from unexpired_server.tokens.timed_proofs import Call, TimedProofs


class TokenVerifier(ABC):
    """Verifies the access tokens of another server; ``Auth(verifier=…)`` takes any.

    Coroutines call ``verify`` and ``authenticate``, threads ``verify_sync`` and
    ``authenticate_sync``; one verifier serves both. A subclass says what a token's claims are; its
    proof is verified here.

    Args:
        leeway: How far clocks may differ, in seconds: for so long a proof is good, once; for at
            least 5.
        now: The clock, in Unix seconds.
    """

    def __init__(self, leeway: float, now: Callable[[], float]) -> None:
        self._proofs = TimedProofs(leeway, now)

    async def authenticate(self, header: str | bytes | None, call: Call | None = None) -> Claims:
        """Verify the token in the Authorization header of a request.

        Args:
            header: The header's value; None without one.
            call: The request, with its proof; without it, tokens that are bound to a key are
                refused.

        Raises:
            TokenMissing: There is no access token.
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            InvalidProof: It is bound to a key, and there is no proof of it for this request.
            Unavailable: It cannot be verified now; see ``verify``.
        """
        scheme, token = _presented(header)
        try:
            claims = await self.verify_again(token)
        except Challenge as failure:
            failure.scheme = CHALLENGES[scheme]
            raise
        return self._proven_by(scheme, claims, token, call)

    def authenticate_sync(self, header: str | bytes | None, call: Call | None = None) -> Claims:
        """Do as ``authenticate`` does, in a thread.

        Args:
            header: The header's value; None without one.
            call: The request, with its proof; without it, tokens that are bound to a key are
                refused.

        Raises:
            TokenMissing: There is no access token.
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            InvalidProof: It is bound to a key, and there is no proof of it for this request.
            Unavailable: It cannot be verified now; see ``verify``.
        """
        scheme, token = _presented(header)
        try:
            claims = self.verify_again_sync(token)
        except Challenge as failure:
            failure.scheme = CHALLENGES[scheme]
            raise
        return self._proven_by(scheme, claims, token, call)

    async def verify(self, token: str, call: Call | None = None) -> Claims:
        """Verify a token from elsewhere than a header.

        Args:
            token: The token.
            call: What the proof that came with it must be for; without it, tokens that are bound
                to a key are refused.

        Raises:
            InvalidProof: It is bound to a key, and there is no proof of it.
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            Unavailable: It cannot be verified now: what is needed of the other server could not
                be fetched.
        """
        claims = await self.verify_again(token)
        return self._proven(claims, token, call)

    @abstractmethod
    async def verify_again(self, token: str) -> Claims:
        """Verify a token whose proof was verified when it came; asks for none.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """

    def verify_sync(self, token: str, call: Call | None = None) -> Claims:
        """Do as ``verify`` does, in a thread; blocks while the other server is asked.

        Args:
            token: The token.
            call: What the proof that came with it must be for; without it, tokens that are bound
                to a key are refused.

        Raises:
            InvalidProof: It is bound to a key, and there is no proof of it.
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            Unavailable: It cannot be verified now: what is needed of the other server could not
                be fetched.
        """
        return self._proven(self.verify_again_sync(token), token, call)

    @abstractmethod
    def verify_again_sync(self, token: str) -> Claims:
        """Do as ``verify_again`` does, in a thread.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """

    def _proven_by(self, scheme: Scheme, claims: Claims, token: str, call: Call | None) -> Claims:
        # Who accepts a bound token as a bearer token, accepts it from a thief (RFC 9449, 7.2).
        if (scheme == "dpop") is (claims.jkt is None):
            raise InvalidProof
        return self._proven(claims, token, call)

    def _proven(self, claims: Claims, token: str, call: Call | None) -> Claims:
        if claims.jkt is None:
            return claims
        if call is None:
            raise InvalidProof
        self._proofs.check(call, token, claims.jkt)
        return claims


def _presented(header: str | bytes | None) -> tuple[Scheme, str]:
    return access_token() if header is None else access_token(header)
