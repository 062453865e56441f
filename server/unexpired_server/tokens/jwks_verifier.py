"""Verifies our access tokens in another service, which needs only the address of our JWKS.

That service does not learn of revocations: a token of a session that was signed out stays valid
there until it expires, so ``access_ttl`` bounds the delay.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import jwt

from unexpired_server.errors import TokenInvalid, Unavailable
from unexpired_server.settings import DAY
from unexpired_server.tokens.access_tokens import Claims, ExpectedClaims, Verifier
from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.strict_json import read_object

ALGORITHMS = frozenset({"EdDSA", "ES256"})
"""Only public-key algorithms: every holder of an HMAC secret can also sign."""

MAXIMUM_AGE = 300.0
"""Seconds after which the keys are fetched again, and so how long a retired key still works."""

MINIMUM_PAUSE = 10.0
"""Seconds between two fetches, so that invalid tokens cannot make this service send requests."""

FETCH_TIMEOUT = 5.0
MAXIMUM_BYTES = 64 * 1024

Fetch = Callable[[str], Awaitable[bytes]]


class JWKSVerifier:
    """Verifies access tokens with the public keys at a URL.

    Args:
        address: The URL of the JWK set, such as
            https://sign-in.example/.well-known/jwks.json.
        issuer: The ``iss`` that tokens must have.
        audience: The ``aud`` that tokens must have.
        longest_life: The longest lifetime that a token may have, in seconds.
        leeway: Clock tolerance, in seconds.
        now: The clock, in Unix seconds.
        fetch: Gets a document; uses the standard library in a thread when None.
    """

    def __init__(  # noqa: PLR0913 - each is a claim to check, or a port
        self,
        address: str,
        *,
        issuer: str = "unexpired",
        audience: str = "unexpired",
        longest_life: float = DAY,
        leeway: float = 60,
        now: Callable[[], float] = time.time,
        fetch: Fetch | None = None,
    ) -> None:
        self._keys = _RemoteKeys(address, now, fetch or _fetch)
        self._verifier = Verifier(
            self._keys, ExpectedClaims(issuer, audience, longest_life, leeway), now
        )

    async def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            Unavailable: No keys could be fetched yet.
        """
        await self._keys.refetch(MAXIMUM_AGE)
        try:
            return self._verifier.verify(token)
        except TokenInvalid:
            # It may be signed with a key that is newer than those we have.
            if not await self._keys.refetch(MINIMUM_PAUSE):
                raise
            return self._verifier.verify(token)


class _RemoteKeys:
    """The keys at one URL, fetched again as they age."""

    def __init__(self, address: str, now: Callable[[], float], fetch: Fetch) -> None:
        self._address = address
        self._now = now
        self._fetch = fetch
        self._known: dict[str, VerifyingKey] | None = None
        self._tried_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    def find(self, kid: object) -> VerifyingKey | None:
        """Return the key with this id, if the URL lists it."""
        return (self._known or {}).get(kid) if isinstance(kid, str) else None

    async def refetch(self, age: float) -> bool:
        """Fetch again when the last attempt is this many seconds old; return whether it succeeded.

        Raises:
            Unavailable: The URL does not respond, and never has.
        """
        async with self._one_at_a_time:
            if self._now() - self._tried_at < age and self._known is not None:
                return False
            self._tried_at = self._now()
            try:
                self._known = _keys_in(await self._fetch(self._address))
            except (OSError, ValueError) as exc:
                if self._known is None:
                    raise Unavailable from exc
                return False  # The present keys stay in use.
            return True


def _keys_in(document: bytes) -> dict[str, VerifyingKey]:
    listed = read_object(document).get("keys")
    if not isinstance(listed, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - wrong input, not a wrong call
    return {key.kid: key for key in map(_key, listed) if key}


def _key(jwk: Any) -> VerifyingKey | None:
    """Return one key of the set; unusable ones are skipped (RFC 7517, section 5)."""
    if not isinstance(jwk, dict) or jwk.get("alg") not in ALGORITHMS:
        return None
    try:
        key = jwt.PyJWK(jwk)
    except jwt.PyJWTError:
        return None
    return VerifyingKey(str(key.key_id), jwk["alg"], key.key) if key.key_id else None


async def _fetch(address: str) -> bytes:
    if not address.startswith(("https://", "http://")):
        raise ValueError("the URL of the keys must be http or https")
    return await asyncio.to_thread(_get, address)


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=FETCH_TIMEOUT) as response:  # noqa: S310 - see above
        content: bytes = response.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise ValueError("too large for a JWK set")
    return content
