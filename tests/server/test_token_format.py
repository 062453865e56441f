"""Malformed, tampered and confused tokens: all are INVALID_TOKEN."""

import base64
import json
import socket
import string
from contextlib import suppress
from typing import Any, Literal

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.harness import TestServer, sign
from tests.support.clock import START
from unexpired_server.errors import TokenError, TokenExpired, TokenInvalid
from unexpired_server.settings import Settings
from unexpired_server.tokens import base64url
from unexpired_server.tokens.access_tokens import AccessTokens
from unexpired_server.tokens.jws import KNOWN_HEADERS
from unexpired_server.tokens.keys import Key, ring_of

INVALID = (403, "INVALID_TOKEN")


async def test_the_helper_of_these_tests_can_make_a_valid_token(node: TestServer) -> None:
    assert await node.code(node.forge()) == (200, "")


@pytest.mark.parametrize(
    "token",
    [
        "x", ".", "..", "...", "....", "a.b", "a.b.c", "a.b.c.d.e", ".a.b", "a..b", "a.b.",
        "{good}.x", "x.{good}", "{good}=", "{good}==", "{good}.", ".{good}", "{header}.{payload}",
        "{header}.{payload}.", "{header}=.{payload}.{signature}", "{header}.{payload}.{signature}A",
        "{header}.{payload}.+{signature}", "{header}.{payload}./{signature}",
        "{header}.{payload}.{half}", "{header}..{signature}", ".{payload}.{signature}",
        '{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}',
    ],
)  # fmt: skip
async def test_anything_but_three_canonical_segments_is_invalid(
    node: TestServer, token: str
) -> None:
    good = node.forge()
    header, payload, signature = good.split(".")
    text = token.format(
        good=good, header=header, payload=payload, signature=signature, half=signature[:21]
    )
    assert await node.code(text) == INVALID


JSON_TEXTS = [
    b"", b"[]", b"null", b"1", b'"x"', b"{", b"{}", b"\xff", b'{"a":NaN}', b"\xef\xbb\xbf{}",
    b'{"a":"\\ud800"}', b"[" * 900, b'{"a":' * 900,
]  # fmt: skip


@pytest.mark.parametrize("raw", JSON_TEXTS)
async def test_a_header_or_payload_that_is_not_one_object_is_invalid(
    node: TestServer, raw: bytes
) -> None:
    assert await node.code(node.forge(header=raw)) == INVALID
    assert await node.code(node.forge(claims=raw)) == INVALID


@pytest.mark.parametrize("member", ["exp", "sub", "iss", "new"])
async def test_a_duplicate_member_is_invalid_even_when_signed(
    node: TestServer, member: str
) -> None:
    claims = json.dumps(node.claims(new=1))
    twice = f'{{"{member}": {json.dumps(node.claims(new=1)[member])}, {claims[1:]}'
    assert await node.code(node.forge(claims=twice.encode())) == INVALID
    header = json.dumps(node.header())
    assert await node.code(node.forge(header=f'{{"alg": "none", {header[1:]}'.encode())) == INVALID


@pytest.mark.parametrize("depth", [2000, 100_000])
async def test_deep_nesting_is_invalid(node: TestServer, depth: int) -> None:
    assert await node.code(node.forge(claims=b'{"a":' + b"[" * depth)) == INVALID


@pytest.mark.parametrize(
    "alg",
    [
        None, "none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS384", "HS512", "RS256",
        "ES256", "EdDSA", "PS256", ["HS256"], {"a": 1}, 0, True,
    ],
)  # fmt: skip
async def test_an_algorithm_other_than_the_keys_own_is_invalid(
    node: TestServer, alg: object
) -> None:
    header = {**node.header(), "alg": alg}
    assert await node.code(node.forge(header=header)) == INVALID
    unsigned = node.forge(header=header).rpartition(".")[0] + "."
    assert await node.code(unsigned) == INVALID


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
async def test_a_longer_hmac_with_our_secret_is_invalid(node: TestServer, digest: str) -> None:
    header = node.header(alg=digest.replace("sha", "HS"))
    token = sign(header, node.claims(), secret=node.ring.active.secret, digest=digest)
    assert await node.code(token) == INVALID


async def test_a_public_key_used_as_hmac_secret_is_invalid(node: TestServer) -> None:
    keys = (
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
    )
    for key in keys:
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert await node.code(node.forge(secret=pem)) == INVALID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwk", {"kty": "oct", "k": "c2VjcmV0"}),
        ("jku", "http://127.0.0.1:9/keys"),
        ("x5u", "http://127.0.0.1:9/keys"),
        ("x5c", ["MIIB"]),
        ("crit", []),
        ("crit", ["exp"]),
        ("b64", False),
        ("b64", True),
        ("zip", "DEF"),
    ],
)
async def test_headers_that_bring_keys_or_change_the_format_are_invalid_and_nothing_is_fetched(
    node: TestServer, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("an outgoing connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert await node.code(node.forge(header=node.header(**{name: value}))) == INVALID


@pytest.mark.parametrize(
    "kid",
    [
        None, "", "../../etc/passwd", "/dev/null", "' OR 1=1 --", "x" * 2000, "00" * 8, 1,
        ["a"], {"a": 1}, True, "\u0000",
    ],
)  # fmt: skip
async def test_a_key_id_is_only_ever_looked_up_on_the_ring(node: TestServer, kid: object) -> None:
    header = {**node.header(), "kid": kid}
    assert await node.code(node.forge(header=header)) == INVALID
    assert await node.code(node.forge(header=header, secret=b"\x00")) == INVALID


@pytest.mark.parametrize(
    "typ", [None, "JWT", "jwt", "at+JWT", "application/at+jwt", "rt+jwt", 1, []]
)
async def test_only_the_type_of_access_tokens_is_accepted(node: TestServer, typ: object) -> None:
    header = {**node.header(), "typ": typ}
    assert await node.code(node.forge(header=header)) == INVALID


async def test_neither_kind_of_token_is_accepted_as_the_other(node: TestServer) -> None:
    tokens = await node.sign_in()
    assert await node.code(tokens["refreshToken"]) == INVALID
    response = await node.refresh(tokens["accessToken"])
    assert (response.status_code, response.json()["code"]) == (401, "REFRESH_INVALID")


@pytest.mark.parametrize("claim", ["iss", "aud"])
@pytest.mark.parametrize(
    "value", [None, "", "unexpire", "unexpired2", "Unexpired", ["unexpired"], 1]
)
async def test_issuer_and_audience_must_be_exactly_ours(
    node: TestServer, claim: str, value: object
) -> None:
    assert await node.code(node.forge(claims=node.claims(**{claim: value}))) == INVALID


@pytest.mark.parametrize("claim", ["sub", "sid", "jti"])
@pytest.mark.parametrize("value", [None, "", 1, ["x"], {"a": "b"}, True])
async def test_subject_session_and_token_ids_must_be_strings(
    node: TestServer, claim: str, value: object
) -> None:
    assert await node.code(node.forge(claims=node.claims(**{claim: value}))) == INVALID


@pytest.mark.parametrize(
    "cnf",
    [
        None, {}, "x", 1, [], {"jkt": None}, {"jkt": ""}, {"jkt": 5}, {"jkt": ["A" * 43]},
        {"jkt": "A" * 42}, {"jkt": "A" * 44}, {"jkt": "A" * 42 + "B"}, {"jkt": "A" * 42 + "="},
        {"jkt": "é" * 43}, {"x5t#S256": "A" * 43}, {"jkt": "A" * 43, "x5t#S256": "A" * 43},
        {"jwk": {"kty": "EC"}},
    ],
)  # fmt: skip
async def test_a_token_that_is_bound_to_anything_but_one_key_is_invalid(
    node: TestServer, cnf: object
) -> None:
    assert await node.code(node.forge(claims={**node.claims(), "cnf": cnf})) == INVALID


async def test_a_token_beyond_the_length_limit_is_invalid_whatever_is_in_it(
    node: TestServer,
) -> None:
    short = node.forge(claims=node.claims(pad="x" * 2000))
    long = node.forge(claims=node.claims(pad="x" * 4000))
    assert await node.code(short) == (200, "")
    assert await node.code(long) == INVALID
    assert await node.code("x" * 5_000_000) == INVALID


KEY = Key(kid="ab" * 8, secret=bytes(range(7, 39)))
TOKENS = AccessTokens(ring_of(KEY), Settings(), lambda: START)
THUMBPRINT = base64url.encode(bytes(range(32)))
GOOD = TOKENS.issue("0" * 32, "1" * 32, 900).token


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 6))
@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
def test_any_single_flipped_bit_of_the_text_is_invalid(position: int, bit: int) -> None:
    flipped = chr(ord(GOOD[position]) ^ (1 << bit))
    with pytest.raises(TokenInvalid):
        TOKENS.verify(GOOD[:position] + flipped + GOOD[position + 1 :])


def test_every_single_flipped_bit_of_every_segment_is_invalid() -> None:
    segments = [base64url.decode(segment) for segment in GOOD.split(".")]
    for index, raw in enumerate(segments):
        for bit in range(len(raw) * 8):
            damaged = bytearray(raw)
            damaged[bit // 8] ^= 1 << bit % 8
            parts = [*segments[:index], bytes(damaged), *segments[index + 1 :]]
            with pytest.raises(TokenInvalid):
                TOKENS.verify(".".join(map(base64url.encode, parts)))


def test_a_signature_has_only_one_accepted_encoding() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = {
        GOOD[:-1] + letter
        for letter in alphabet
        if base64.urlsafe_b64decode(GOOD.split(".")[2][:-1] + letter + "=")
        == base64url.decode(GOOD.split(".")[2])
    }
    assert len(spellings) == 4  # Otherwise this test would test nothing.
    for spelling in spellings - {GOOD}:
        with pytest.raises(TokenInvalid):
            TOKENS.verify(spelling)


@given(
    st.text() | st.text(alphabet="abcXYZ019-_.=") | st.binary().map(lambda b: b.decode("latin-1"))
)
def test_random_text_is_invalid_and_raises_no_other_error(text: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.verify(text)


@pytest.mark.parametrize(("dpop", "jkt"), [("all", THUMBPRINT), ("refresh", None), ("off", None)])
def test_a_token_of_a_bound_session_names_its_key_where_calls_need_proof(
    dpop: Literal["all", "refresh", "off"], jkt: str | None
) -> None:
    tokens = AccessTokens(ring_of(KEY), Settings(dpop=dpop), lambda: START)
    claims = tokens.verify(tokens.issue("0" * 32, "1" * 32, 900, jkt=THUMBPRINT).token)
    assert claims.jkt == jkt
    assert claims.claims.get("cnf") == (jkt and {"jkt": jkt})
    assert tokens.verify(tokens.issue("0" * 32, "1" * 32, 900).token).jkt is None


def test_a_token_with_all_that_it_may_hold_can_also_be_bound() -> None:
    tokens = AccessTokens(ring_of(KEY), Settings(dpop="all"), lambda: START)
    further: dict[str, Any] = {}
    with suppress(ValueError):
        for size in range(3000):
            tokens.check("u", (), {"pad": "x" * size})
            further = {"pad": "x" * size}
    issued = tokens.issue("u", "0" * 32, 900, (), further, jkt=THUMBPRINT)
    assert tokens.verify(issued.token).jkt == THUMBPRINT
    with pytest.raises(ValueError, match="at most"):
        tokens.check("u", (), {"pad": further["pad"] + "x"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), json_values),
    st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "iat", "sub", "sid", "nbf"]), json_values
    ),
)
def test_signed_nonsense_is_invalid_and_raises_no_other_error(
    header: dict[str, Any], payload: dict[str, Any]
) -> None:
    good = {"alg": "HS256", "kid": KEY.kid, "typ": "at+jwt"}
    for tried in (header, {**header, **good}):
        with pytest.raises(TokenInvalid):
            TOKENS.verify(sign(tried, payload, secret=KEY.secret))


def spelled_once(text: str) -> bool:
    """Whether a text is canonical base64url, by encoding again what another decoder makes of it."""
    if not set(text) <= {*string.ascii_letters, *string.digits, "-", "_"} or len(text) % 4 == 1:
        return False
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=") == text


@given(st.text(alphabet="AQgwx019-_+/=.\n é", max_size=12))
@settings(max_examples=2000, deadline=None)
def test_base64url_is_decoded_exactly_where_it_is_canonical(text: str) -> None:
    if spelled_once(text):
        assert base64url.encode(base64url.decode(text)) == text
    else:
        with pytest.raises(ValueError, match=r"base64url|ascii"):
            base64url.decode(text)


def pyjwt_accepts(token: str) -> bool:
    """Whether PyJWT accepts a token, and the rules that it does not have do as well."""
    try:
        payload = jwt.decode(
            token,
            KEY.secret,
            algorithms=["HS256"],
            issuer=Settings().issuer,
            audience=Settings().audience,
            options={
                "require": ["iss", "aud", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidTokenError:
        return False
    header = jwt.get_unverified_header(token)
    is_ours = (header.get("typ"), header.get("kid"), header.get("alg")) == GOOD_HEADER
    is_plain = not header.keys() & {"crit", "b64", "zip", "jwk", "jku", "x5u", "x5c"}
    is_text = all(isinstance(payload.get(n), str) and payload[n] for n in ("sub", "sid", "jti"))
    times = [payload[name] for name in ("iat", "exp", "nbf") if name in payload]
    are_times = all(type(one) in {int, float} and 0 <= one < 2**37 for one in times)
    is_one = isinstance(payload["aud"], str) and all(map(spelled_once, token.split(".")))
    is_short = are_times and 0 <= payload["exp"] - payload["iat"] <= Settings().access_ttl
    return is_ours and is_plain and is_text and is_one and is_short


def accepts(tokens: AccessTokens, token: str) -> bool:
    """Whether we hold a token to be authentic, be it for another time."""
    try:
        tokens.verify(token)
    except TokenInvalid:
        return False
    except (TokenError, TokenExpired):
        return True
    return True


GOOD_HEADER = ("at+jwt", KEY.kid, "HS256")
HEADERS = [
    {}, {"alg": "none"}, {"alg": "HS384"}, {"alg": "ES256"}, {"alg": ["HS256"]}, {"crit": ["exp"]},
    {"crit": []}, {"b64": False}, {"b64": True}, {"zip": "DEF"}, {"kid": "00" * 8}, {"kid": 1},
    {"kid": ""}, {"typ": "JWT"}, {"typ": None}, {"x": 1}, {"jwk": {}},
]  # fmt: skip
VALUES: st.SearchStrategy[object] = st.sampled_from(
    ["", "x", 0, 1, -1, 2**64, 10**300, START, START + 60, 1.5, True, None, [], ["unexpired"], {}]
)
CHANGES = st.dictionaries(
    st.sampled_from(["iss", "aud", "sub", "sid", "jti", "iat", "exp", "nbf", "new"]),
    VALUES,
    max_size=2,
)


@given(st.sampled_from(HEADERS), CHANGES, st.sampled_from(["", "=", "A", "B", "."]))
@settings(max_examples=1000, deadline=None)
def test_a_token_is_accepted_exactly_where_pyjwt_and_our_rules_accept_it(
    header: dict[str, Any], changes: dict[str, Any], end: str
) -> None:
    good = json.loads(base64url.decode(GOOD.split(".")[1]))
    plain = {"alg": "HS256", "kid": KEY.kid, "typ": "at+jwt"}
    token = sign(plain | header, good | changes, secret=KEY.secret) + end
    fresh = AccessTokens(ring_of(KEY), Settings(), lambda: START)
    for verifier in (fresh, TOKENS):  # TOKENS has read such headers before.
        assert accepts(verifier, token) == pyjwt_accepts(token)


def test_only_headers_of_authentic_tokens_are_remembered_and_only_so_many() -> None:
    tokens = AccessTokens(ring_of(KEY), Settings(), lambda: START)
    payload = json.loads(base64url.decode(GOOD.split(".")[1]))
    plain = {"alg": "HS256", "kid": KEY.kid, "typ": "at+jwt"}
    with pytest.raises(TokenInvalid):
        tokens.verify(sign(plain, payload, secret=bytes(32)))
    assert not vars(tokens)["_headers"]
    for number in range(2 * KNOWN_HEADERS):
        tokens.verify(sign({**plain, "n": number}, payload, secret=KEY.secret))
    assert 0 < len(vars(tokens)["_headers"]) <= KNOWN_HEADERS
