"""ID tokens of a provider that people sign in with (OpenID Connect Core 1.0, section 3.1.3.7).

The signature is verified although the token comes straight from the provider: keys and claims are
then checked by the code that verifies every other token, and ``none`` has no key.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from unexpired_server.errors import TokenInvalid, Unavailable
from unexpired_server.tokens.access_tokens import (
    Claims,
    ExpectedClaims,
    ReadToken,
    UnknownKey,
    Verifier,
    text_of,
    time_of,
)
from unexpired_server.tokens.jws import CompactJWS
from unexpired_server.tokens.read_only import read_only
from unexpired_server.tokens.remote_keys import RemoteKeys

LEEWAY = 60.0
"""Clock tolerance, in seconds; the clocks are those of two servers."""

LONGEST_SUBJECT = 255
"""In characters (OpenID Connect Core 1.0, section 2)."""


@dataclass(frozen=True)
class IdTokens:
    """The rules for ID tokens. Each is read once, so none is cached."""

    maximum_length: ClassVar[int] = 16 * 1024
    cache_size: ClassVar[int] = 0
    needs_key_id: ClassVar[bool] = False

    def accepts(self, typ: object) -> bool:
        """Return whether a token of this ``typ`` may be an ID token."""
        return typ is None or (isinstance(typ, str) and typ.lower() == "jwt")

    def read(self, compact: CompactJWS, expected: ExpectedClaims, _now: float) -> ReadToken:
        """Read the claims of an authentic token.

        Raises:
            TokenInvalid: It is for another client, or lacks a claim.
        """
        payload = compact.payload
        _check_audience(payload, expected.audience)
        subject = text_of(payload, "sub")
        if len(subject) > LONGEST_SUBJECT or not subject.isprintable():
            raise TokenInvalid
        issued_at, expires_at = time_of(payload, "iat"), time_of(payload, "exp")
        if expires_at <= issued_at:
            raise TokenInvalid
        return ReadToken(Claims(subject, "", claims=read_only(payload)), issued_at, expires_at)


class IdTokenVerifier:
    """Verifies the ID tokens that a provider makes for one client.

    Args:
        keys: The provider's keys.
        issuer: The exact ``iss``.
        client_id: The client; the ``aud``.
        now: The clock, in Unix seconds.
    """

    def __init__(
        self, keys: RemoteKeys, issuer: str, client_id: str, now: Callable[[], float]
    ) -> None:
        self._keys = keys
        expected = ExpectedClaims(issuer, client_id, longest_life=0, leeway=LEEWAY)
        self._verifier = Verifier(keys, expected, now, IdTokens())

    async def verify(self, token: str, nonce: str) -> Mapping[str, Any]:
        """Return the claims of a token.

        Args:
            token: The token.
            nonce: What the token must say it was asked for with.

        Raises:
            Challenge: It is not the provider's, not for this client, or not of this sign-in.
            Unavailable: The provider's keys could not be fetched.
        """
        claims = (await self._verified(token)).claims
        named = claims.get("nonce")
        if not isinstance(named, str) or not hmac.compare_digest(named.encode(), nonce.encode()):
            raise TokenInvalid
        return claims

    async def _verified(self, token: str) -> Claims:
        await self._keys.ready()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            # It may be signed with a key that is newer than those we have.
            await self._keys.look_again()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            if self._keys.has_failed:
                raise Unavailable from None
            raise


def _check_audience(payload: dict[str, Any], client_id: str) -> None:
    """Check for whom a token is; of several audiences the authorized party must be this client."""
    named = payload.get("aud")
    audiences = named if isinstance(named, list) else [named]
    if client_id not in audiences:
        raise TokenInvalid
    party = payload.get("azp", client_id if len(audiences) == 1 else None)
    if party != client_id:
        raise TokenInvalid
