"""What an introspection endpoint says of a token (RFC 7662, section 2.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from unexpired_server.errors import TokenExpired, TokenInvalid
from unexpired_server.tokens.access_tokens import Claims, ReadToken, check_time, time_of
from unexpired_server.tokens.documents import WrongDocumentError
from unexpired_server.tokens.foreign_tokens import foreign_claims, texts_of
from unexpired_server.tokens.issuer import ExpectedIssuer
from unexpired_server.tokens.strict_json import read_object

TOKEN_TYPES = frozenset({"bearer", "dpop"})
"""RFC 6750, section 6.1.1; RFC 9449, section 12.1."""

OTHER_TOKENS = {
    "token_use": frozenset({"refresh_token", "refresh", "id", "id_token"}),
    "typ": frozenset({"refresh", "offline", "id"}),
}
"""Members beside the standard's by which Ory Hydra and Keycloak mark what is no access token."""


@dataclass(frozen=True, slots=True)
class Inactive:
    """A token that cannot be used any more, or that the endpoint does not know.

    Attributes:
        expired_at: The token's ``exp``, where it has passed and is known.
    """

    expired_at: float | None = None


@dataclass(frozen=True, slots=True)
class Unacceptable:
    """A token that is active, and no access token for this service."""


Answer = ReadToken | Inactive | Unacceptable


class IntrospectedTokens:
    """The rules for tokens that an introspection endpoint describes.

    Args:
        issuer: The exact ``iss``, where the endpoint names one; None accepts any.
        audience: The ``aud``, or one of several; None leaves it to the endpoint.
        user_claim: The member with the user's id.
        needs_token_type: Whether there must be a ``token_type`` where no audience is checked.
    """

    def __init__(
        self,
        issuer: str | None,
        audience: str | None,
        *,
        user_claim: str = "sub",
        needs_token_type: bool = True,
    ) -> None:
        self._issuer = None if issuer is None else ExpectedIssuer(issuer)
        self._audience = audience
        self._user_claim = user_claim
        self._may_lack_type = audience is not None or not needs_token_type

    def read(self, content: bytes) -> Answer:
        """Read a response of the endpoint.

        Raises:
            WrongDocumentError: It is no such response.
        """
        try:
            members = read_object(content)
        except ValueError:
            raise WrongDocumentError("the response is not a JSON object") from None
        is_active = members.get("active")
        if not isinstance(is_active, bool):
            raise WrongDocumentError('the response has no "active" that is true or false')
        if not is_active:
            return Inactive()
        try:
            return self._token(_without_nulls(members))
        except (TokenInvalid, RecursionError):
            return Unacceptable()

    def _token(self, members: dict[str, Any]) -> ReadToken:
        self._check_kind(members)
        if self._audience is not None and self._audience not in texts_of(members.get("aud")):
            raise TokenInvalid
        if self._issuer and "iss" in members and not self._issuer.is_named(members["iss"]):
            raise TokenInvalid
        claims = foreign_claims(members, self._user_claim)
        if claims.jkt is None and _token_type(members) == "dpop":
            raise TokenInvalid  # Without a key to prove it would be a bearer token.
        starts_at = max(_time(members, "iat", 0), _time(members, "nbf", 0))
        return ReadToken(claims, starts_at, _time(members, "exp", math.inf))

    def _check_kind(self, members: dict[str, Any]) -> None:
        """Refuse refresh tokens, of which endpoints also say that they are active."""
        named = _token_type(members)
        # A refresh token has no type (RFC 6749, section 5.1), and rarely an audience.
        may_be = self._may_lack_type if named is None else named in TOKEN_TYPES
        marks = ((str(members.get(name)).lower(), others) for name, others in OTHER_TOKENS.items())
        if not may_be or any(mark in others for mark, others in marks):
            raise TokenInvalid


def accepted(answer: Answer, now: float, leeway: float) -> Claims:
    """Return the claims of a token that may be used now.

    An endpoint does not say why a token is inactive. It is answered as an expired one, because
    most are: the client then refreshes, and if the session has ended, the refresh says so.

    Args:
        answer: What the endpoint says of it.
        now: The time, in Unix seconds.
        leeway: How far clocks may differ, in seconds.

    Raises:
        TokenInvalid: It is no access token for this service.
        TokenError: It is not valid yet.
        TokenExpired: It has expired, or is inactive.
    """
    if isinstance(answer, Unacceptable):
        raise TokenInvalid
    if isinstance(answer, Inactive):
        raise TokenExpired(answer.expired_at)
    check_time(answer, now, leeway)
    return answer.claims


def _without_nulls(members: dict[str, Any]) -> dict[str, Any]:
    """Return members without those that say nothing; a ``cnf`` must say something."""
    return {name: one for name, one in members.items() if one is not None or name == "cnf"}


def _token_type(members: dict[str, Any]) -> str | None:
    named = members.get("token_type")
    return None if named is None else str(named).lower()


def _time(members: dict[str, Any], name: str, default: float) -> float:
    return time_of(members, name) if name in members else default
