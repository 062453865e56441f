"""Checking an ID token: OpenID Connect Core, section 3.1.3.7, and 12.2 at a refresh.

The token comes from the provider's token endpoint over TLS, which stands in for its signature
(3.1.3.7, point 6). Its claims are checked all the same: a provider with many applications signs
tokens for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from unexpired.claims import header_and_claims
from unexpired.errors import SignInFailed
from unexpired.oidc.metadata import TENANT, TENANT_ID
from unexpired.token_response import finite_seconds

MAX_SUBJECT = 255  # Characters: OpenID Connect Core, section 2.
MAX_PAST = 86_400.0  # s. A device whose clock is further ahead cannot use TLS.
LEEWAY = 60.0  # s. Between two clocks of one provider.

PROTOCOL_CLAIMS = frozenset(
    {
        # OpenID Connect Core, sections 2, 3.3.2.11 and 5.6.2; RFC 7519; Session Management.
        *("aud", "azp", "exp", "iat", "nbf", "auth_time", "nonce", "jti", "sid"),
        *("at_hash", "c_hash", "s_hash", "sub_jwk", "cnf", "_claim_names", "_claim_sources"),
        *("typ", "session_state", "rat"),  # Keycloak, Ory
        *("aio", "rh", "uti", "ver"),  # Entra ID
        *("token_use", "origin_jti", "event_id"),  # Cognito
    }
)
"""Claims that serve the protocol and say nothing of the person."""


def checked_claims(  # noqa: PLR0913 - each is one fact that the token must fit
    token: str,
    *,
    issuer: str,
    client_id: str,
    nonce: str | None,
    algorithms: frozenset[str],
    now: float,
    max_age: int | None = None,
    known_subject: str | None = None,
) -> Mapping[str, Any]:
    """Return the claims of an ID token, after all checks.

    Args:
        token: The ID token.
        issuer: The provider; ``{tenantid}`` in it stands for the token's ``tid``.
        client_id: This application.
        nonce: The sign-in's nonce; None at a refresh.
        algorithms: The algorithms that may have signed it.
        now: The time, in Unix seconds of this device.
        max_age: The ``max_age`` that was asked for.
        known_subject: The ``sub`` that is signed in, which a refresh never changes.

    Raises:
        SignInFailed: With ``UNTRUSTED_TOKEN``; a note names the claim, never its value.
    """
    header, claims = _read(token)
    _check_header(header, algorithms)
    _check_names(claims, issuer, client_id)
    _check_times(claims, now, max_age)
    if nonce is not None and claims.get("nonce") != nonce:
        _distrust("nonce")
    if known_subject is not None and claims["sub"] != known_subject:
        _distrust("sub")
    return claims


def shown_claims(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims that say who the person is, without the protocol's own."""
    return {name: value for name, value in claims.items() if name not in PROTOCOL_CLAIMS}


def _read(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        return header_and_claims(token)
    except ValueError:
        raise SignInFailed("UNTRUSTED_TOKEN", "The ID token cannot be read.") from None


def _check_header(header: Mapping[str, Any], algorithms: frozenset[str]) -> None:
    algorithm = header.get("alg")
    is_named = isinstance(algorithm, str) and algorithm in algorithms
    if not is_named or algorithm == "none" or str(algorithm).startswith("HS"):
        _distrust("alg")
    if "crit" in header:  # RFC 7515, section 4.1.11: we understand none of them.
        _distrust("crit")


def _check_names(claims: Mapping[str, Any], issuer: str, client_id: str) -> None:
    tenant = claims.get("tid")
    if TENANT in issuer and not (isinstance(tenant, str) and TENANT_ID.fullmatch(tenant)):
        _distrust("tid")
    if claims.get("iss") != issuer.replace(TENANT, str(tenant)):
        _distrust("iss")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        _distrust("aud")
    if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != client_id:
        _distrust("azp")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        _distrust("sub")


def _check_times(claims: Mapping[str, Any], now: float, max_age: int | None) -> None:
    """Check the times against each other; the device's clock may be wrong by a day."""
    issued_at, expires_at = _instant(claims, "iat"), _instant(claims, "exp")
    if expires_at <= issued_at or expires_at < now - MAX_PAST:
        _distrust("exp")
    if max_age is None:
        return
    since = issued_at - _instant(claims, "auth_time")
    if not -LEEWAY <= since <= max_age + LEEWAY:
        _distrust("auth_time")


def _instant(claims: Mapping[str, Any], name: str) -> float:
    value = finite_seconds(claims.get(name))
    if value is None:
        _distrust(name)
    return value


def _distrust(claim: str) -> NoReturn:
    note = f"The ID token's {claim} is not what it must be (OpenID Connect Core, 3.1.3.7)."
    raise SignInFailed("UNTRUSTED_TOKEN", note)
