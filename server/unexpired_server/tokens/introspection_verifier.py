"""Verifies opaque access tokens by asking the server that issued them (RFC 7662)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from unexpired_server.errors import TokenInvalid
from unexpired_server.tokens.access_tokens import Claims
from unexpired_server.tokens.answer_cache import AnswerCache, token_key
from unexpired_server.tokens.foreign_tokens import ForeignTokens
from unexpired_server.tokens.forms import basic_credentials
from unexpired_server.tokens.introspected_tokens import Answer, IntrospectedTokens, accepted
from unexpired_server.tokens.introspection import (
    DiscoveredEndpoint,
    Endpoint,
    Introspection,
    KnownEndpoint,
)
from unexpired_server.tokens.issuer import is_allowed_url
from unexpired_server.tokens.token_verifier import TokenVerifier

LONGEST_CACHE_SECONDS = 3600.0

TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1."""


class IntrospectionVerifier(TokenVerifier):
    """Verifies opaque access tokens by asking the server that issued them (RFC 7662).

    Coroutines call ``verify`` and ``authenticate``, threads ``verify_sync`` and
    ``authenticate_sync``; one verifier serves both, for the life of the program, also in the
    processes that it forks. The token goes to that endpoint and nowhere else, by https or to this
    machine; redirects are not followed. Callers with the same token wait for one request.

    An answer is used for ``cache_seconds``, and never after the token's ``exp``. So a token that is
    revoked stays valid here for at most that long. 0 asks each time.

    The endpoint does not say why a token is inactive: expired, revoked, or never issued. It is
    answered with ``TokenExpired``, so that the client refreshes; if its session has ended, the
    refresh says so. While the endpoint cannot be asked, tokens that are not cached get
    ``Unavailable``: an outage signs nobody out.

    A token with ``cnf.jkt`` needs a proof
    with each request, as with ``JWKSVerifier``.

    Args:
        url: The introspection endpoint's URL.
        issuer: The ``iss`` that tokens have, where the endpoint says it. Without a ``url``, the
            endpoint is the one that the issuer's own document names (RFC 8414, section 2).
        client_id: Who asks: this service, as it is registered with the server.
        client_secret: Its secret (``client_secret_basic``).
        audience: The ``aud`` that tokens must have. None leaves it to the endpoint, which may know
            by ``client_id`` who asks (RFC 7662, section 4); then it must say the ``token_type``,
            because nothing else distinguishes access tokens from refresh tokens.
        user_claim: The member that becomes ``user_id``. Where it is ``username``, the name must
            never pass to another person.
        needs_token_type: False for an endpoint that says no ``token_type``, and knows access tokens
            only.
        leeway: Clock tolerance, in seconds.
        cache_seconds: How long an answer is used; an hour at most.
        cache_size: How many tokens are cached, by their hashes.
        now: The clock, in Unix seconds.

    Raises:
        ValueError: An argument is missing or cannot be used; the message names it.
    """

    def __init__(  # noqa: PLR0913 - each is a part of a request, a claim to check, or a bound
        self,
        url: str | None = None,
        *,
        issuer: str | None = None,
        client_id: str,
        client_secret: str,
        audience: str | None,
        user_claim: str = "sub",
        needs_token_type: bool = True,
        leeway: float = 60,
        cache_seconds: float = 60,
        cache_size: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(leeway, now)
        _check_texts(client_id=client_id, client_secret=client_secret, user_claim=user_claim)
        if audience is not None:
            _check_texts(audience=audience)
        if not 0 <= cache_seconds <= LONGEST_CACHE_SECONDS:
            raise ValueError("cache_seconds= must be between 0 and 3600.")
        if cache_size < 1:
            raise ValueError("cache_size= must be at least 1.")
        self._leeway = leeway
        self._now = now
        self._cache = AnswerCache(cache_size, cache_seconds, leeway, now)
        self._introspection = Introspection(
            _endpoint(url, issuer, now),
            basic_credentials(client_id, client_secret),
            IntrospectedTokens(
                issuer, audience, user_claim=user_claim, needs_token_type=needs_token_type
            ),
            self._cache,
            now,
        )

    async def verify_again(self, token: str) -> Claims:
        """Verify a token whose proof was verified when it came; asks for none.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """
        key = _key(token)
        answer = self._cache.find(key)
        if answer is None:
            answer = await self._introspection.ask(key, _plausible(token))
        return self._accepted(answer)

    def verify_again_sync(self, token: str) -> Claims:
        """Do as ``verify_again`` does, in a thread; blocks for 5 seconds at most for each request.

        Raises:
            Failure: The token is refused or cannot be verified, as in ``verify``.
        """
        key = _key(token)
        answer = self._cache.find(key)
        if answer is None:
            answer = self._introspection.ask_sync(key, _plausible(token))
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Claims:
        return accepted(answer, self._now(), self._leeway)


def _key(token: str) -> bytes:
    if len(token) > ForeignTokens.maximum_length or not token.isascii():
        raise TokenInvalid
    return token_key(token)


def _plausible(token: str) -> str:
    """Return a token that some server may have issued; nobody is asked about others."""
    if not TOKEN.fullmatch(token):
        raise TokenInvalid
    return token


def _endpoint(url: str | None, issuer: str | None, now: Callable[[], float]) -> Endpoint:
    if url is not None:
        if not is_allowed_url(url, may_be_local=True) or "#" in url:
            raise ValueError("url= must be an https URL without user or fragment.")
        return KnownEndpoint(url)
    if issuer is None:
        raise ValueError("url= or issuer= is needed: one of them says where the endpoint is.")
    return DiscoveredEndpoint(issuer, now)


def _check_texts(**arguments: str) -> None:
    for name, value in arguments.items():
        if not value or not isinstance(value, str):
            raise ValueError(f"{name}= is needed, as text.")
