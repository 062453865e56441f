"""Tokens of other issuers: which forms are accepted, and what is never one of their tokens."""

import base64
import hmac
import json
import logging
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.support.clock import START, FakeClock
from unexpired_server.errors import (
    Failure,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
)
from unexpired_server.tokens import foreign_tokens
from unexpired_server.tokens.foreign_tokens import ForeignTokens
from unexpired_server.tokens.jwks_verifier import JWKSVerifier
from unexpired_server.tokens.keys import Key

ISSUER = "https://issuer.example/tenant"
AUDIENCE = "https://orders.example"
RSA_KEY = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    "RS256": RSA_KEY,
    "PS256": RSA_KEY,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
KINDS: dict[str, Any] = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm}
DROP = object()
"""A claim or a header that is left out."""


def jwk(alg: str = "RS256", kid: str | None = "one", key: Any = None) -> dict[str, Any]:
    kind = KINDS.get(alg[:2], OKPAlgorithm)
    public = kind.to_jwk((key or PRIVATE[alg]).public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {**public, **({} if kid is None else {"kid": kid})}


def token(header: Any = None, *, alg: Any = "RS256", key: Any = None, **claims: Any) -> str:
    """A token as Auth0 makes them, apart from what a test says."""
    payload = {
        "iss": ISSUER,
        "aud": [AUDIENCE, f"{ISSUER}/userinfo"],
        "sub": "auth0|1",
        "iat": int(START),
        "exp": int(START) + 3600,
        "azp": "web",
        "scope": "openid orders:read",
    } | claims
    headers = {"kid": "one", "typ": "JWT"} | (header or {})
    return jwt.encode(
        {name: value for name, value in payload.items() if value is not DROP},
        key or PRIVATE[alg],
        alg,
        # PyJWT leaves out a typ that is None, and writes one where there is none.
        {"typ": None} | {name: value for name, value in headers.items() if value is not DROP},
    )


def raw_token(header: object, payload: object, key: rsa.RSAPrivateKey = RSA_KEY) -> str:
    """A token with these very bytes or values, and a good signature with RS256."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode()
             for part in (header, payload)]  # fmt: skip
    message = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(message.encode(), key)
    return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def verifier(*keys: dict[str, Any], clock: FakeClock | None = None, **options: Any) -> JWKSVerifier:
    """A verifier whose issuer has these keys."""

    async def fetch(address: str) -> bytes:
        if address.endswith("/keys"):
            return json.dumps({"keys": keys or [jwk()]}).encode()
        return json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}).encode()

    given: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, **options}
    return JWKSVerifier(now=clock or FakeClock(), fetch=fetch, **given)


# -- What is accepted ------------------------------------------------------------------------------


async def test_a_token_has_its_user_its_scopes_and_all_its_claims() -> None:
    claims = await verifier().verify(token(roles=["admin"]))
    assert (claims.user_id, claims.session_id) == ("auth0|1", "")
    assert claims.scopes == {"openid", "orders:read"}
    assert claims.claims["azp"] == "web"
    assert claims.claims["roles"] == ("admin",)
    assert "admin" not in repr(claims)


@pytest.mark.parametrize("alg", sorted(PRIVATE))
async def test_each_algorithm_verifies_in_coroutines_and_threads(alg: str) -> None:
    checks = verifier(jwk(alg))
    assert (await checks.verify(token(alg=alg))).user_id
    tampered = token(alg=alg)[:-8] + "AAAAAAAA"
    with pytest.raises(TokenInvalid):
        await checks.verify(tampered)
    with pytest.raises(TokenInvalid):
        checks.verify_sync(tampered)


@pytest.mark.parametrize(
    "header",
    [
        {}, {"typ": "at+jwt"}, {"typ": "AT+JWT"}, {"typ": "application/at+jwt"},
        {"typ": "application/AT+jwt"}, {"typ": "jwt"}, {"typ": DROP}, {"x5t": "abc"},
    ],
)  # fmt: skip
async def test_the_types_of_access_tokens_are_accepted(header: dict[str, Any]) -> None:
    assert (await verifier().verify(token(header))).user_id


@pytest.mark.parametrize("typ", ["", "ID", "rt+jwt", "logout+jwt", "dpop+jwt", "at", 1, ["JWT"]])
async def test_other_types_are_refused(typ: object) -> None:
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token({"alg": "RS256", "kid": "one", "typ": typ}, claims_of()))


def claims_of(**claims: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token(**claims), options={"verify_signature": False})
    return decoded


async def test_the_option_types_accepts_fewer() -> None:
    for types in (("at+jwt",), ["application/at+JWT"]):
        checks = verifier(types=types)
        assert (await checks.verify(token({"typ": "at+jwt"}))).user_id
        for typ in ("JWT", DROP):
            with pytest.raises(TokenInvalid):
                await checks.verify(token({"typ": typ}))


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scope": ["a", "b c"]}, {"a", "b", "c"}),
        ({"scope": ""}, set()),
        ({"scope": DROP}, set()),
        ({"scope": DROP, "scp": "a b"}, {"a", "b"}),
        ({"scope": DROP, "scp": ["a", "b"]}, {"a", "b"}),
        ({"scope": "a", "scp": ["b"]}, {"a"}),
    ],
)
async def test_scopes_are_read_from_scope_or_else_scp(
    claims: dict[str, Any], scopes: set[str]
) -> None:
    assert (await verifier().verify(token(**claims))).scopes == scopes


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": AUDIENCE}, {"aud": [AUDIENCE]}, {"aud": ["x", AUDIENCE]}, {"iat": DROP},
        {"jti": "j"}, {"jti": 7}, {"sid": "s"}, {"nbf": int(START) - 10}, {"azp": DROP},
        {"exp": START + 0.5}, {"nonce": "n"}, {"scope": DROP}, {"groups": ["g" * 36] * 200},
    ],
)  # fmt: skip
async def test_what_issuers_write_otherwise_is_accepted(claims: dict[str, Any]) -> None:
    assert (await verifier().verify(token(**claims))).user_id == "auth0|1"


async def test_a_session_id_is_there_where_the_issuer_gives_one() -> None:
    assert (await verifier().verify(token(sid="s"))).session_id == "s"


# -- Keys ------------------------------------------------------------------------------------------


async def test_without_a_key_id_exactly_one_key_must_fit() -> None:
    other = rsa.generate_private_key(65537, 2048)
    nameless = token({"kid": DROP})
    assert (await verifier().verify(nameless)).user_id
    assert (await verifier(jwk(), jwk("ES256", "two")).verify(nameless)).user_id
    assert (await verifier(jwk(kid=None)).verify(nameless)).user_id
    assert (await verifier(jwk(kid=None), jwk("ES256", None)).verify(nameless)).user_id
    for keys in ((jwk(), jwk(kid="two", key=other)), (jwk(kid=None), jwk(kid=None, key=other))):
        with pytest.raises(TokenInvalid):
            await verifier(*keys).verify(nameless)
    with pytest.raises(TokenInvalid):  # It names a key, and the only one has no name.
        await verifier(jwk(kid=None)).verify(token())
    ours = verifier(address=f"{ISSUER}/keys", foreign=False)
    mine = token({"kid": DROP, "typ": "at+jwt"}, aud=AUDIENCE, sid="s", jti="j")
    with pytest.raises(TokenInvalid):
        await ours.verify(mine)


@pytest.mark.parametrize("kid", [0, False, [], {}, 1, ["one"]])
async def test_a_key_id_that_is_no_text_is_not_a_missing_one(kid: object) -> None:
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token({"alg": "RS256", "kid": kid, "typ": "JWT"}, claims_of()))


async def test_a_cached_token_that_another_thread_removes_meanwhile_is_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Vanishing(OrderedDict[str, Any]):
        def get(self, key: str, _default: object = None) -> Any:
            return self.pop(key, None)

    checks = verifier()
    monkeypatch.setattr(checks._verifier, "_cache", Vanishing())  # noqa: SLF001 - no other way
    signed = token()
    for _ in range(3):
        assert checks.verify_sync(signed).user_id == "auth0|1"


async def test_a_cached_token_without_a_key_id_is_found_again() -> None:
    checks, nameless = verifier(jwk(kid=None)), token({"kid": DROP})
    first = await checks.verify(nameless)
    assert await checks.verify(nameless) is first


async def test_a_key_that_is_too_short_is_not_used() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is the test
    signed = raw_token({"alg": "RS256", "kid": "one", "typ": "JWT"}, claims_of(), short)
    with pytest.raises(TokenInvalid):
        await verifier(jwk(key=short)).verify(signed)


def hs256(secret: bytes, payload: dict[str, Any]) -> str:
    parts = ({"alg": "HS256", "kid": "one", "typ": "JWT"}, payload)
    message = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )
    mac = hmac.digest(secret, message.encode(), "sha256")
    return f"{message}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_a_public_key_is_never_a_secret() -> None:
    public = RSA_KEY.public_key()
    for secret in (
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk()).encode(),
        b"",
    ):
        with pytest.raises(TokenInvalid):
            await verifier().verify(hs256(secret, claims_of()))


@pytest.mark.parametrize(
    "alg", ["none", "None", "", "HS256", "RS384", "PS256", "ES256", "EdDSA", None, 1, ["RS256"], {}]
)
async def test_an_algorithm_that_is_not_the_keys_is_refused(alg: object) -> None:
    header = {"alg": alg, "kid": "one", "typ": "JWT"}
    keys = [{**jwk(), "alg": "RS256"}]
    with pytest.raises(TokenInvalid):
        await verifier(*keys).verify(raw_token(header, claims_of()))
    unsigned = raw_token(header, claims_of()).rpartition(".")[0]
    with pytest.raises(TokenInvalid):
        await verifier(*keys).verify(f"{unsigned}.")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwk", jwk()), ("jku", "https://evil.example/keys"), ("x5u", "https://evil.example/"),
        ("x5c", ["MIIB"]), ("crit", ["exp"]), ("crit", []), ("b64", False), ("zip", "DEF"),
    ],
)  # fmt: skip
async def test_a_header_that_brings_a_key_or_changes_the_format_is_refused(
    name: str, value: object
) -> None:
    header = {"alg": "RS256", "kid": "one", "typ": "JWT", name: value}
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token(header, claims_of()))


# -- Claims ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"}, {"aud": []}, {"aud": [[AUDIENCE]]}, {"aud": DROP},
        {"aud": {AUDIENCE: 1}}, {"aud": [AUDIENCE, 1]}, {"aud": f" {AUDIENCE}"}, {"aud": ""},
        {"aud": f"{AUDIENCE} x"}, {"aud": AUDIENCE.upper()},
        {"iss": f"{ISSUER}/"}, {"iss": "https://evil.example"}, {"iss": [ISSUER]}, {"iss": DROP},
        {"sub": DROP}, {"sub": ""}, {"sub": 7}, {"sub": ["x"]}, {"sid": 7}, {"sid": ""},
        {"scope": 7}, {"scope": {"a": "b"}}, {"scope": ["a", 7]}, {"scope": None},
        {"scope": DROP, "scp": 7},
        {"exp": DROP}, {"iat": True}, {"iat": "1"}, {"nbf": []}, {"nbf": None},
        {"exp": int(START) + 86_401}, {"iat": DROP, "exp": int(START) + 86_401},
        {"iat": int(START) + 50, "exp": int(START) + 40},
    ],
)  # fmt: skip
async def test_claims_that_are_wrong_missing_or_of_another_type_are_refused(
    claims: dict[str, Any],
) -> None:
    raw = {**claims_of(), **claims}
    payload = {name: value for name, value in raw.items() if value is not DROP}
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token({"alg": "RS256", "kid": "one", "typ": "JWT"}, payload))


@pytest.mark.parametrize("mark", ["nonce", "at_hash", "c_hash"])
async def test_an_id_token_is_refused_although_its_audience_is_ours(mark: str) -> None:
    with pytest.raises(TokenInvalid):
        await verifier().verify(token(aud=AUDIENCE, scope=DROP, **{mark: "x"}))
    # Keycloak put the nonce into access tokens, too, which have scopes.
    assert (await verifier().verify(token(**{mark: "x"}))).user_id
    assert (await verifier().verify(token({"typ": "at+jwt"}, scope=DROP, **{mark: "x"}))).user_id


async def test_an_expired_token_says_when_it_expired_and_a_future_one_that_it_is_early() -> None:
    with pytest.raises(TokenExpired) as caught:
        await verifier().verify(token(iat=int(START) - 200, exp=int(START) - 61))
    assert caught.value.expired_at == START - 61
    for iat in (DROP, int(START) - 200):  # Within the leeway.
        assert (await verifier().verify(token(iat=iat, exp=int(START) - 59))).user_id
    with pytest.raises(TokenExpired):
        await verifier().verify(token(iat=DROP, exp=int(START) - 61))
    for claim in ("nbf", "iat"):
        with pytest.raises(TokenError):
            await verifier().verify(token(**{claim: int(START) + 61}))
        assert (await verifier().verify(token(**{claim: int(START) + 59}))).user_id


async def test_the_longest_lifetime_is_an_option() -> None:
    checks = verifier(longest_life=300)
    assert (await checks.verify(token(exp=int(START) + 300))).user_id
    with pytest.raises(TokenInvalid):
        await checks.verify(token(exp=int(START) + 301))


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"\xff", b'{"a":NaN}', b"[" * 6000])
async def test_a_part_that_is_not_one_object_is_refused(raw: bytes) -> None:
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    for one in (raw_token(raw, claims_of()), raw_token(header, raw)):
        with pytest.raises(TokenInvalid):
            await verifier().verify(one)


async def test_duplicate_members_are_refused() -> None:
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    twice = b'{"sub": "admin", ' + json.dumps(claims_of()).encode()[1:]
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token(header, twice))
    double = b'{"alg": "none", ' + json.dumps(header).encode()[1:]
    with pytest.raises(TokenInvalid):
        await verifier().verify(raw_token(double, claims_of()))


async def test_deep_nesting_is_refused_or_read_and_never_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = {"alg": "RS256", "kid": "one", "typ": "JWT"}
    for depth in (50, *range(400, 1000, 20), 1500, 5000):
        body = json.dumps(claims_of()).encode()[:-1]
        deep = body + b', "deep": ' + b"[" * depth + b'"\\u00e9"' + b"]" * depth + b"}"
        try:
            assert (await verifier().verify(raw_token(header, deep))).user_id
        except TokenInvalid:
            assert depth > 50

    def too_deep(_payload: object) -> None:  # Newer Pythons decode deeper than they recurse.
        raise RecursionError

    monkeypatch.setattr(foreign_tokens, "read_only", too_deep)
    with pytest.raises(TokenInvalid):
        await verifier().verify(token())


async def test_a_token_may_be_long_but_not_without_end() -> None:
    checks = verifier()
    limit = ForeignTokens.maximum_length
    body = limit * 3 // 4 - 1500
    assert (await checks.verify(token(groups="g" * body))).user_id
    with pytest.raises(TokenInvalid):
        await checks.verify(token(groups="g" * (body + 1500)))
    with pytest.raises(TokenInvalid):
        await checks.verify("x" * 5_000_000)


async def test_the_cache_of_long_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ForeignTokens, "cache_size", 3)
    checks = verifier()
    for number in range(6):
        await checks.verify(token(sub=f"user {number}"))
    assert len(checks._verifier._cache) == 3  # noqa: SLF001 - its size is the point


async def test_the_slash_that_is_missing_from_the_name_is_logged_once_and_without_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    checks = verifier(issuer=f"{ISSUER}/", address=f"{ISSUER}/keys", foreign=True)
    signed = token()
    for _ in range(3):
        with pytest.raises(TokenInvalid):
            await checks.verify(signed)
        with pytest.raises(TokenInvalid):
            await checks.verify(token(iss="https://evil.example"))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"give issuer={ISSUER!r}, exactly" in record.getMessage()
    assert signed not in caplog.text


# -- The Authorization header ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, TokenMissing), ("", TokenMissing), ("Bearer", TokenMissing),
        ("Bearer ", TokenMissing), ("Basic abc", TokenMissing), (b"Basic abc", TokenMissing),
        ("Bearer x", TokenInvalid), (b"Bearer x", TokenInvalid), ("Bearer é", TokenInvalid),
        (b"Bearer \xff", TokenInvalid), ("Bearer {token},Bearer {token}", TokenInvalid),
        ("Bearer {token}", None), ("bearer  {token} ", None),
    ],
)  # fmt: skip
async def test_a_header_gives_the_claims_or_says_what_is_wrong(
    header: str | bytes | None, error: type[Failure] | None
) -> None:
    checks = verifier()
    value = header.format(token=token()) if isinstance(header, str) else header
    if error is None:
        claims = await checks.authenticate(value)
        assert checks.authenticate_sync(value) is claims
        assert claims.user_id == "auth0|1"
        return
    with pytest.raises(error):
        await checks.authenticate(value)
    with pytest.raises(error):
        checks.authenticate_sync(value)


# -- Anything at all -------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
CHECKS = verifier()
CLAIM_NAMES = (
    "iss", "aud", "sub", "sid", "iat", "exp", "nbf", "jti", "scope", "scp", "azp", "nonce", "x",
)  # fmt: skip


@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "x"]), JSON, max_size=2),
    claims=st.dictionaries(st.sampled_from(CLAIM_NAMES), JSON, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_any_signed_values_are_claims_or_one_of_our_failures(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    text = raw_token(
        {"alg": "RS256", "kid": "one", "typ": "JWT"} | header, {**claims_of(), **claims}
    )
    with suppress(TokenInvalid, TokenError, TokenExpired):
        assert CHECKS.verify_sync(text).user_id


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_as_a_token_is_invalid_or_missing(text: str) -> None:
    for call in (CHECKS.verify_sync, CHECKS.authenticate_sync):
        with pytest.raises((TokenInvalid, TokenMissing)):
            call(text)


def test_the_check_of_these_tests_has_no_outage() -> None:
    with pytest.raises(TokenInvalid):
        CHECKS.verify_sync(Key("one", b"x" * 32).sign(claims_of(), "JWT"))
    with pytest.raises(Unavailable):
        verifier(issuer="https://other.example/").verify_sync(token())
