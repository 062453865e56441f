"""The access tokens of other issuers, which follow RFC 9068 more or less.

What they leave out or write otherwise is accepted; what says for whom a token is, and for how
long, is not optional.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from unexpired_server.errors import TokenInvalid
from unexpired_server.scopes import split_scopes
from unexpired_server.tokens.access_tokens import (
    TYPE,
    Claims,
    ExpectedClaims,
    ReadToken,
    bound_key,
    text_of,
    time_of,
)
from unexpired_server.tokens.jws import CompactJWS
from unexpired_server.tokens.read_only import read_only

UNTYPED = ""
TYPES = frozenset({TYPE, "jwt", UNTYPED})

MARKS_OF_ID_TOKENS = frozenset({"nonce", "at_hash", "c_hash"})
"""OpenID Connect Core 1.0, sections 2 and 3.3.2.11."""

SCOPE_CLAIMS = ("scope", "scp")
"""RFC 9068, section 2.2.3; and the name that Microsoft and Okta use."""


@dataclass(frozen=True)
class ForeignTokens:
    """The rules for tokens of another issuer.

    Attributes:
        types: The accepted values of ``typ``, in lower case and without "application/".
    """

    types: frozenset[str] = TYPES
    maximum_length: ClassVar[int] = 16 * 1024
    """In characters: a token that lists its user's groups has several thousand."""
    cache_size: ClassVar[int] = 2000
    needs_key_id: ClassVar[bool] = False

    @classmethod
    def of_types(cls, types: Collection[str]) -> Self:
        """Return the rules for tokens of some types.

        Raises:
            ValueError: There is none, or they are one text.
        """
        if isinstance(types, str) or not types:
            raise ValueError('types= must be a list of types, such as ("at+jwt",).')
        return cls(frozenset(map(_short, types)))

    def accepts(self, typ: object) -> bool:
        """Return whether a token of this ``typ`` may be an access token."""
        if typ is None:
            return UNTYPED in self.types
        return isinstance(typ, str) and typ != UNTYPED and _short(typ) in self.types

    def read(self, compact: CompactJWS, expected: ExpectedClaims, now: float) -> ReadToken:
        """Read the claims of an authentic token.

        Raises:
            TokenInvalid: It is no access token for this audience, or malformed.
        """
        payload = compact.payload
        if expected.audience not in texts_of(payload.get("aud")) or _is_id_token(compact):
            raise TokenInvalid
        claims = foreign_claims(payload)
        expires_at = time_of(payload, "exp")
        issued_at = time_of(payload, "iat") if "iat" in payload else min(now, expires_at)
        not_before = time_of(payload, "nbf") if "nbf" in payload else 0
        if not 0 <= expires_at - issued_at <= expected.longest_life:
            raise TokenInvalid
        return ReadToken(claims, max(issued_at, not_before), expires_at)


def foreign_claims(payload: dict[str, Any], user_claim: str = "sub") -> Claims:
    """Return the claims that another issuer makes of a token's user.

    Args:
        payload: All that it says.
        user_claim: The claim with the user's id.

    Raises:
        TokenInvalid: One is malformed, or the user's id is missing.
    """
    session_id = text_of(payload, "sid") if "sid" in payload else ""
    user_id, scopes, jkt = text_of(payload, user_claim), _scopes(payload), bound_key(payload)
    return Claims(user_id, session_id, scopes, read_only(payload), jkt)


def _short(typ: str) -> str:
    """Return a media type as it is compared (RFC 7515, section 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _is_id_token(compact: CompactJWS) -> bool:
    # Some issuers put the nonce also into access tokens, but none puts scopes into ID tokens.
    names = compact.payload.keys()
    says_so = _short(str(compact.header.get("typ"))) == TYPE or not names.isdisjoint(SCOPE_CLAIMS)
    return not says_so and not names.isdisjoint(MARKS_OF_ID_TOKENS)


def _scopes(payload: dict[str, Any]) -> frozenset[str]:
    value = next((payload[name] for name in SCOPE_CLAIMS if name in payload), "")
    return frozenset(scope for text in texts_of(value) for scope in split_scopes(text))


def texts_of(value: object) -> list[str]:
    """Return one text or a list of texts as a list.

    Raises:
        TokenInvalid: It is something else.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise TokenInvalid
    return texts
