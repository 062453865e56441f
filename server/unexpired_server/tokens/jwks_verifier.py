"""Verifies access tokens in another service, which needs only the address of the public keys.

That service does not learn of revocations: a token of a session that was signed out stays valid
there until it expires, so ``access_ttl`` bounds the delay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from unexpired_server.errors import Unavailable
from unexpired_server.settings import DAY
from unexpired_server.tokens.access_tokens import (
    Claims,
    ExpectedClaims,
    UnknownKey,
    Verifier,
)
from unexpired_server.tokens.jwk_set import ALGORITHMS
from unexpired_server.tokens.remote_keys import Fetch, RemoteKeys, fetch_document


class JWKSVerifier:
    """Verifies access tokens with the public keys at a URL.

    Known keys verify at once, also while the URL is slow or down: the set is fetched again in
    the background as it ages, and once for all callers when a token names a key that is not in
    it.

    Args:
        address: The URL of the JWK set, such as
            https://sign-in.example/.well-known/jwks.json.
        issuer: The ``iss`` that tokens must have.
        audience: The ``aud`` that tokens must have.
        longest_life: The longest lifetime that a token may have, in seconds.
        leeway: Clock tolerance, in seconds.
        algorithms: The algorithms that are accepted. A key whose JWK has no ``alg`` is for all
            of these that fit it.
        now: The clock, in Unix seconds.
        fetch: Gets a document; uses the standard library in a thread when None. It returns the
            content, or a ``Document`` with the response's headers.
    """

    def __init__(  # noqa: PLR0913 - each is a claim to check, or a port
        self,
        address: str,
        *,
        issuer: str = "unexpired",
        audience: str = "unexpired",
        longest_life: float = DAY,
        leeway: float = 60,
        algorithms: Collection[str] = ALGORITHMS,
        now: Callable[[], float] = time.time,
        fetch: Fetch | None = None,
    ) -> None:
        if unknown := set(algorithms) - ALGORITHMS:
            raise ValueError(f"not a public-key algorithm: {', '.join(sorted(unknown))}")
        self._keys = RemoteKeys(address, frozenset(algorithms), now, fetch or fetch_document)
        expected = ExpectedClaims(issuer, audience, longest_life, leeway)
        self._verifier = Verifier(self._keys, expected, now)

    async def verify(self, token: str) -> Claims:
        """Verify a token.

        Raises:
            TokenInvalid: It is malformed, not the issuer's, or for another audience.
            TokenError: It is authentic, but not valid yet.
            TokenExpired: It is authentic, and has expired.
            Unavailable: No keys could be fetched yet, or the token names a key that is not known
                and could not be looked up now.
        """
        await self._keys.ready()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            # It may be signed with a key that is newer than those we have.
            await self._keys.look_again()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            # An outage never ends a session: the key may be one that we could not fetch.
            if self._keys.has_failed:
                raise Unavailable from None
            raise
