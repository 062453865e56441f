"""Verifying our access tokens in another service, which knows only where our public keys are.

It never hears of revocations: there a token of a session that was signed out lives to its own
end, so `access_ttl` is what bounds that.
"""

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
"""What a public key may be for; with a secret one its holder could sign as well."""

KEPT_SECONDS = 300.0
"""How old the keys may be before they are asked for again: how long a retired one lingers."""

PAUSE_SECONDS = 10.0
"""The least time between two attempts, so that nobody's bad tokens become our traffic."""

FETCH_SECONDS = 5.0
MAXIMUM_BYTES = 64 * 1024

Fetch = Callable[[str], Awaitable[bytes]]


class JWKSVerifier:
    """Verifies access tokens by the public keys at an address.

    Args:
        address: Of the JWK set, such as https://sign-in.example/.well-known/jwks.json.
        issuer: The `iss` that tokens must have.
        audience: The `aud` that tokens must have.
        longest_life: Seconds that a token may last at most.
        leeway: Clock tolerance, in seconds.
        now: The clock, in Unix seconds.
        fetch: Gets a document; by the standard library, in a thread, when None.
    """

    def __init__(  # noqa: PLR0913 - each is a claim to be checked, or a port
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
            TokenInvalid: It is malformed, not the issuer's, or not meant for here.
            TokenError: It is genuine, but not valid yet.
            TokenExpired: It is genuine, and its time has passed.
            Unavailable: No keys could be fetched yet.
        """
        await self._keys.freshen(KEPT_SECONDS)
        try:
            return self._verifier.verify(token)
        except TokenInvalid:
            # It may be signed with a key that is younger than what we know.
            if not await self._keys.freshen(PAUSE_SECONDS):
                raise
            return self._verifier.verify(token)


class _RemoteKeys:
    """The keys of one address, asked for again as they age."""

    def __init__(self, address: str, now: Callable[[], float], fetch: Fetch) -> None:
        self._address = address
        self._now = now
        self._fetch = fetch
        self._known: dict[str, VerifyingKey] | None = None
        self._tried_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    def find(self, kid: object) -> VerifyingKey | None:
        """The key of this id, if the address has shown it."""
        return (self._known or {}).get(kid) if isinstance(kid, str) else None

    async def freshen(self, age: float) -> bool:
        """Ask again when the last attempt is this many seconds old; whether that was done.

        Raises:
            Unavailable: There is no answer, and never was one.
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
                return False  # The keys we have are better than none.
            return True


def _keys_in(document: bytes) -> dict[str, VerifyingKey]:
    listed = read_object(document).get("keys")
    if not isinstance(listed, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - wrong input, not a wrong call
    return {key.kid: key for key in map(_key, listed) if key}


def _key(shown: Any) -> VerifyingKey | None:
    """One key of the set; one that we have no use for is passed over (RFC 7517, section 5)."""
    if not isinstance(shown, dict) or shown.get("alg") not in ALGORITHMS:
        return None
    try:
        key = jwt.PyJWK(shown)
    except jwt.PyJWTError:
        return None
    return VerifyingKey(str(key.key_id), shown["alg"], key.key) if key.key_id else None


async def _fetch(address: str) -> bytes:
    if not address.startswith(("https://", "http://")):
        raise ValueError("only http and https are asked for keys")
    return await asyncio.to_thread(_get, address)


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=FETCH_SECONDS) as reply:  # noqa: S310 - see above
        content: bytes = reply.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise ValueError("too large for a JWK set")
    return content
