"""Verifies access tokens with public keys, in a service that issues none.

Such a service does not learn of revocations: a token of a session that was signed out stays valid
there until it expires, so the lifetime of access tokens bounds the delay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from unexpired_server.errors import Unavailable
from unexpired_server.settings import DAY
from unexpired_server.tokens.access_tokens import (
    OWN_TOKENS,
    Claims,
    ExpectedClaims,
    TokenRules,
    UnknownKey,
    Verifier,
)
from unexpired_server.tokens.discovery import Discovery, KnownAddress
from unexpired_server.tokens.flights import Fetch
from unexpired_server.tokens.foreign_tokens import ForeignTokens
from unexpired_server.tokens.jwk_set import ALGORITHMS
from unexpired_server.tokens.remote_keys import RemoteKeys
from unexpired_server.tokens.token_verifier import TokenVerifier

OWN_NAME = "unexpired"


class JWKSVerifier(TokenVerifier):
    """Verifies access tokens with an issuer's public keys.

    Coroutines call ``verify`` and ``authenticate``, threads ``verify_sync`` and
    ``authenticate_sync``; one verifier serves both, for the life of the program, also in the
    processes that it forks. Known keys verify at once, also while the issuer is slow or down:
    its documents are fetched again in the background as they age, and once for all callers when
    a token names a key that is not known.

    With an ``address``, the tokens are those of an Unexpired server, and must be exactly as it
    makes them. Without one, the keys are found by the name of the issuer (OpenID Connect
    Discovery 1.0, section 4; RFC 8414, section 3), and the tokens may be any issuer's: ``aud``
    may be a list, ``sid``, ``jti`` and ``iat`` may be missing, scopes may be in ``scope`` or
    ``scp``.

    The audience distinguishes an access token for this service from every other token of the
    issuer, such as an ID token, whose ``aud`` is a client's id. A token with ``nonce``,
    ``at_hash`` or ``c_hash`` and without scopes is refused as an ID token; where the audience of
    a service is also a client's id, only ``types=("at+jwt",)`` excludes all ID tokens (RFC 9068,
    section 2.1).

    A token that is bound to a key needs a proof with each request (RFC 9449, section 7). It is good
    for the leeway, and for at least 5 seconds, and once: of that, the verifier remembers what it
    needs, in each process.

    Args:
        address: The URL of the JWK set, such as https://sign-in.example/.well-known/jwks.json.
        issuer: The ``iss`` that tokens must have, to the last character; "unexpired" with an
            address.
        audience: The ``aud`` that tokens must have; "unexpired" with an address.
        foreign: Whether the tokens may be any issuer's. None: where there is no address.
        types: The values of ``typ`` that are accepted of another issuer; "" is none. None:
            "at+jwt", "JWT" and none.
        longest_life: The longest lifetime that a token may have, in seconds.
        leeway: Clock tolerance, in seconds.
        algorithms: The algorithms that are accepted. A key whose JWK has no ``alg`` is for all
            of these that fit it.
        now: The clock, in Unix seconds.
        fetch: Gets a document in the event loop of the caller, or for threads in one of its own;
            uses the standard library in a thread when None. It returns the content, or a
            ``Document`` with the response's headers, and must not follow redirects.

    Raises:
        ValueError: An argument is missing or cannot be used; the message names it.
    """

    def __init__(  # noqa: PLR0913 - each is a claim to check, or a port
        self,
        address: str | None = None,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        foreign: bool | None = None,
        types: Collection[str] | None = None,
        longest_life: float = DAY,
        leeway: float = 60,
        algorithms: Collection[str] = ALGORITHMS,
        now: Callable[[], float] = time.time,
        fetch: Fetch | None = None,
    ) -> None:
        super().__init__(leeway, now)
        if unknown := set(algorithms) - ALGORITHMS:
            raise ValueError(f"not a public-key algorithm: {', '.join(sorted(unknown))}")
        is_foreign = address is None if foreign is None else foreign
        rules = _rules(types, is_foreign=is_foreign)
        issuer = _named("issuer", issuer, is_foreign=is_foreign)
        audience = _named("audience", audience, is_foreign=is_foreign)
        source = Discovery(issuer, now) if address is None else KnownAddress(address)
        self._keys = RemoteKeys(source, frozenset(algorithms), now, fetch)
        expected = ExpectedClaims(issuer, audience, longest_life, leeway)
        self._verifier = Verifier(self._keys, expected, now, rules)

    async def verify_again(self, token: str) -> Claims:
        """Verify a token whose proof was verified when it came; asks for none.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """
        await self._keys.ready()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            # It may be signed with a key that is newer than those we have.
            await self._keys.look_again()
        return self._verify_again(token)

    def verify_again_sync(self, token: str) -> Claims:
        """Do as ``verify_again`` does, in a thread; blocks for at most 5 seconds for keys.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """
        self._keys.ready_sync()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            self._keys.look_again_sync()
        return self._verify_again(token)

    def _verify_again(self, token: str) -> Claims:
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            # An outage never ends a session: the key may be one that we could not fetch.
            if self._keys.has_failed:
                raise Unavailable from None
            raise


def _rules(types: Collection[str] | None, *, is_foreign: bool) -> TokenRules:
    if is_foreign:
        return ForeignTokens() if types is None else ForeignTokens.of_types(types)
    if types is not None:
        raise ValueError("types= is for the tokens of other issuers; ours are all at+jwt.")
    return OWN_TOKENS


def _named(argument: str, value: str | None, *, is_foreign: bool) -> str:
    if value is None and not is_foreign:
        return OWN_NAME
    if not value or not isinstance(value, str):
        raise ValueError(f"{argument}= is needed: which tokens are accepted depends on it.")
    return value
