"""Proofs of a key: what is authentic and for this request, and everything else INVALID_PROOF."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.support.proof_maker import ProofMaker
from unexpired_server.errors import InvalidProof, UseDPoPNonce
from unexpired_server.http.failure_response import failure_response
from unexpired_server.settings import SettingsError, load_settings
from unexpired_server.tokens import base64url, proofs
from unexpired_server.tokens.keys import VerifyingKey
from unexpired_server.tokens.proofs import Proof, ProofVerifier, thumbprint, token_hash

NOW = 1_700_000_000.0
URL = "https://api.example/api/login"
URLS = {URL}

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FIELD = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
ROOT_OF_B = pow(B, (FIELD + 1) // 4, FIELD)
"""P-256's numbers (FIPS 186-5): the order n, the field's prime, and the point (0, √b)."""


def coordinate(number: int) -> str:
    return base64url.encode(number.to_bytes(32, "big"))


def point_of(x: int, y: int) -> dict[str, str]:
    return {"kty": "EC", "crv": "P-256", "x": coordinate(x), "y": coordinate(y)}


def public(scalar: int) -> ec.EllipticCurvePublicNumbers:
    return ec.derive_private_key(scalar, ec.SECP256R1()).public_key().public_numbers()


def noncanonical(text: str) -> str:
    """The same bytes in another spelling: with one of the unused bits set."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) + 1]


@pytest.fixture
def maker() -> ProofMaker:
    return ProofMaker(lambda: NOW)


@pytest.fixture
def verifier() -> ProofVerifier:
    return ProofVerifier()


def refused(verifier: ProofVerifier, proof: str, **changes: Any) -> bool:
    """Whether a proof is refused, as all of them are: by the one error, which says nothing."""
    with pytest.raises(InvalidProof) as caught:
        verifier.verify(proof, **({"method": "POST", "urls": URLS} | changes))
    return caught.value.message == InvalidProof.message


def read(verifier: ProofVerifier, proof: str, access_token: str | None = None) -> Proof:
    return verifier.verify(proof, method="POST", urls=URLS, access_token=access_token)


def accepted(verifier: ProofVerifier, proof: str, access_token: str | None = None) -> bool:
    return isinstance(read(verifier, proof, access_token), Proof)


def test_a_valid_proof_names_its_key_its_id_its_time_and_its_nonce(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    proof = read(verifier, maker.proof("POST", URL, jti="j", nonce="n"))
    assert (proof.jkt, proof.jti, proof.issued_at, proof.nonce) == (maker.jkt, "j", NOW, "n")


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """The example of RFC 9449, sections 4.1 and 6.1."""
    jwk = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    assert thumbprint(jwk) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


CLAIMS = {"htm": "POST", "htu": URL, "iat": NOW, "jti": "j"}


def head(maker: ProofMaker, **changes: Any) -> dict[str, Any]:
    return {"typ": "dpop+jwt", "alg": "ES256", "jwk": maker.jwk} | changes


def test_the_helper_of_these_tests_can_make_a_valid_proof(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    proof = maker.signed(head(maker), CLAIMS)
    assert read(verifier, proof).jkt == maker.jkt


@pytest.mark.parametrize(
    "claim",
    [
        {"htm": "GET"}, {"htm": "post"}, {"htm": "POST "}, {"htm": None}, {"htm": ""},
        {"htm": ["POST"]}, {"htm": 1}, {"htm": True},
        {"htu": None}, {"htu": ""}, {"htu": 1}, {"htu": [URL]}, {"htu": "/api/login"},
        {"htu": "//api.example/api/login"}, {"htu": "https://api.example/api/logout"},
        {"htu": "https://api.example/api/login/"}, {"htu": "https://api.example/API/login"},
        {"htu": "https://api.example/x/../api/login"}, {"htu": "https://api.example//api/login"},
        {"htu": "https://api.example/api%2Flogin"}, {"htu": "https://api.example/"},
        {"htu": "https://other.example/api/login"}, {"htu": "https://api.example./api/login"},
        {"htu": "https://api.example:8443/api/login"}, {"htu": "https://api.example:80/api/login"},
        {"htu": "https://api.example:99999999/api/login"}, {"htu": "http://api.example/api/login"},
        {"htu": "ftp://api.example/api/login"}, {"htu": "javascript:alert(1)"},
        {"htu": "https://ada@api.example/api/login"}, {"htu": "https://:@api.example/api/login"},
        {"htu": f"{URL}?"}, {"htu": f"{URL}?a=b"}, {"htu": f"{URL}#"}, {"htu": f"{URL}#a"},
        {"htu": f" {URL}"}, {"htu": f"{URL} "}, {"htu": f"{URL}\n"}, {"htu": f"{URL}\x00"},
        {"htu": "https:\\\\api.example\\api\\login"}, {"htu": "https://\u0430pi.example/api/login"},
        {"htu": "https://[::1/api/login"}, {"htu": "https://[1::2::3]/api/login"},
        {"htu": "https://api.example/api/lögin"},
        {"iat": None}, {"iat": True}, {"iat": "1700000000"}, {"iat": -1}, {"iat": 253402300800},
        {"iat": 10**400}, {"iat": [NOW]}, {"iat": {}},
        {"jti": None}, {"jti": ""}, {"jti": "x" * 129}, {"jti": 1}, {"jti": ["j"]}, {"jti": False},
        {"nonce": ""}, {"nonce": 1}, {"nonce": ["n"]}, {"nonce": False},
    ],
    ids=repr,
)  # fmt: skip
def test_a_claim_that_is_missing_of_another_type_or_for_another_request_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, claim: dict[str, Any]
) -> None:
    assert refused(verifier, maker.signed(head(maker), CLAIMS | claim))


@pytest.mark.parametrize(
    "time", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"null", b"9" * 3000]
)
def test_a_time_that_is_none_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, time: bytes
) -> None:
    claims = json.dumps(CLAIMS | {"iat": "TIME"}).encode().replace(b'"TIME"', time)
    assert refused(verifier, maker.signed(head(maker), claims))


@pytest.mark.parametrize("iat", [0, 1.5, NOW - 1e9, NOW + 1e9])
def test_any_other_time_is_for_the_caller_to_judge(
    maker: ProofMaker, verifier: ProofVerifier, iat: float
) -> None:
    proof = maker.signed(head(maker), CLAIMS | {"iat": iat})
    assert read(verifier, proof).issued_at == iat


@pytest.mark.parametrize("jti", ["x", "x" * 128, "\x00", "é😀", "a b"])
def test_an_id_is_any_text_of_up_to_128_characters(
    maker: ProofMaker, verifier: ProofVerifier, jti: str
) -> None:
    proof = maker.signed(head(maker), CLAIMS | {"jti": jti, "more": {"a": [1]}})
    assert read(verifier, proof).jti == jti


def test_a_call_needs_the_hash_of_exactly_its_token(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    right = token_hash("token")
    for ath in (None, "", right[:-1], f"{right}=", right.lower(), "token", 1, True, [right]):
        proof = maker.signed(head(maker), CLAIMS | {"ath": ath})
        assert refused(verifier, proof, access_token="token")
    proof = maker.signed(head(maker), CLAIMS | {"ath": right})
    assert accepted(verifier, proof, access_token="token")
    assert refused(verifier, proof, access_token="other")


@pytest.mark.parametrize(
    "member",
    [
        {"typ": None}, {"typ": "JWT"}, {"typ": "DPOP+JWT"}, {"typ": "application/dpop+jwt"},
        {"typ": "at+jwt"}, {"typ": "dpop+jwt "}, {"typ": 1}, {"typ": ["dpop+jwt"]},
        {"alg": None}, {"alg": "none"}, {"alg": "None"}, {"alg": ""}, {"alg": "HS256"},
        {"alg": "RS256"}, {"alg": "PS256"}, {"alg": "ES384"}, {"alg": "ES512"}, {"alg": "EdDSA"},
        {"alg": "ES256K"}, {"alg": "es256"}, {"alg": 1}, {"alg": ["ES256"]},
        {"jwk": None}, {"jwk": {}}, {"jwk": []}, {"jwk": "x"}, {"jwk": 1}, {"jwk": True},
        {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"b64": True}, {"kid": "k"}, {"kid": ""},
        {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"},
        {"x5c": ["MIIB"]}, {"x5t": "x"}, {"x5t#S256": "x"}, {"zip": "DEF"}, {"cty": "JWT"},
        {"iat": 1}, {"": 1},
    ],
    ids=repr,
)  # fmt: skip
def test_a_header_with_any_other_member_or_value_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, member: dict[str, Any]
) -> None:
    assert refused(verifier, maker.signed(head(maker, **member), CLAIMS))


@pytest.mark.parametrize(
    "member",
    [
        {"d": "x" * 43}, {"kid": "k"}, {"alg": "ES256"}, {"use": "sig"}, {"key_ops": ["verify"]},
        {"ext": True}, {"x5c": []}, {"k": "x"}, {"n": "x", "e": "AQAB"}, {"": ""},
        {"kty": "RSA"}, {"kty": "oct"}, {"kty": "OKP"}, {"kty": "ec"}, {"kty": 1}, {"kty": ["EC"]},
        {"crv": "P-384"}, {"crv": "P-521"}, {"crv": "secp256k1"}, {"crv": "Ed25519"}, {"crv": 1},
        {"crv": "p-256"}, {"crv": ["P-256"]},
        {"x": ""}, {"x": 1}, {"x": ["x"]}, {"x": {}}, {"x": True}, {"x": "!" * 43},
        {"y": ""}, {"y": 1}, {"y": ["x"]}, {"x": "A" * 42}, {"x": "A" * 44}, {"y": "A" * 2000},
        {"y": "é" * 43}, {"x": "\ud83d\ude00"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_key_with_any_other_member_or_value_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, member: dict[str, Any]
) -> None:
    assert refused(verifier, maker.signed(head(maker, jwk=maker.jwk | member), CLAIMS))


@pytest.mark.parametrize("name", ["kty", "crv", "x", "y"])
def test_a_key_that_lacks_a_member_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, name: str
) -> None:
    jwk = {member: value for member, value in maker.jwk.items() if member != name}
    assert refused(verifier, maker.signed(head(maker, jwk=jwk), CLAIMS))


def test_keys_of_other_kinds_are_refused_with_their_own_good_signatures(
    verifier: ProofVerifier,
) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    okp_key = ed25519.Ed25519PrivateKey.generate()
    other_curve = ec.generate_private_key(ec.SECP384R1())
    proofs = {
        "RS256": jwt.encode(CLAIMS, rsa_key, "RS256", _with_jwk(RSAAlgorithm, rsa_key)),
        "EdDSA": jwt.encode(CLAIMS, okp_key, "EdDSA", _with_jwk(OKPAlgorithm, okp_key)),
        "ES384": jwt.encode(CLAIMS, other_curve, "ES384", _with_jwk(ECAlgorithm, other_curve)),
        "HS256": jwt.encode(CLAIMS, "k" * 64, "HS256", {"typ": "dpop+jwt", "jwk": {"kty": "oct"}}),
    }
    for alg, proof in proofs.items():
        assert jwt.get_unverified_header(proof)["alg"] == alg
        assert refused(verifier, proof)


def _with_jwk(algorithm: Any, key: Any) -> dict[str, Any]:
    return {"typ": "dpop+jwt", "jwk": algorithm.to_jwk(key.public_key(), as_dict=True)}


def test_points_that_are_not_on_the_curve_or_not_reduced_are_refused(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    x, y = (int.from_bytes(base64url.decode(maker.jwk[name]), "big") for name in "xy")
    points = [
        (0, 0), (0, 1), (x, y ^ 1), (x ^ 1, y), (y, x), (x, 0), (0, y), (FIELD - 1, FIELD - 1),
        (FIELD, FIELD), (2**256 - 1, 2**256 - 1), (FIELD, ROOT_OF_B),
    ]  # fmt: skip
    for point in points:
        jwk = maker.jwk | dict(zip("xy", map(coordinate, point), strict=True))
        assert refused(verifier, maker.signed(head(maker, jwk=jwk), CLAIMS)), point
    # The point (0, √b) is on the curve; only its signature is wrong.
    assert refused(verifier, maker.signed(head(maker, jwk=point_of(0, ROOT_OF_B)), CLAIMS))
    assert pow(ROOT_OF_B, 2, FIELD) == B


def test_coordinates_without_their_leading_zeros_are_refused(verifier: ProofVerifier) -> None:
    """Else one key would have two thumbprints (RFC 7518, section 6.2.1.2)."""
    scalar = next(k for k in range(1, 5000) if public(k).x < 2**248)
    maker = ProofMaker(lambda: NOW, ec.derive_private_key(scalar, ec.SECP256R1()))
    assert accepted(verifier, maker.signed(head(maker), CLAIMS))
    raw = base64url.decode(maker.jwk["x"])
    assert raw[0] == 0
    for other in (raw[1:], b"\0" + raw):
        jwk = maker.jwk | {"x": base64url.encode(other)}
        assert refused(verifier, maker.signed(head(maker, jwk=jwk), CLAIMS))


def test_base64_in_any_other_spelling_is_refused(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    spelled = [maker.jwk["x"] + "=", f"{maker.jwk['x']}\n", noncanonical(maker.jwk["x"])]
    for x in spelled:
        assert refused(verifier, maker.signed(head(maker, jwk=maker.jwk | {"x": x}), CLAIMS))
    header, payload, signature = maker.signed(head(maker), CLAIMS).split(".")
    for text in (
        f"{header}=.{payload}.{signature}", f"{header}.{payload}=.{signature}",
        f"{header}.{payload}.{signature}=", f"{header}.{payload}.{signature}==",
        f"{header}.{payload}.{noncanonical(signature)}", f"{header}.{payload}.{signature}.",
        f".{header}.{payload}.{signature}", f"{header}.{payload}.", f"{header}..{signature}",
        f".{payload}.{signature}", f"{header}.{payload}", f" {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}\n", f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}\xa0", "", ".", "..", "...",
    ):  # fmt: skip
        assert refused(verifier, text)


def test_two_members_of_one_name_and_what_is_no_object_are_refused(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    header, claims = json.dumps(head(maker)), json.dumps(CLAIMS)
    for name, value in (("alg", '"none"'), ("alg", '"ES256"'), ("jwk", json.dumps(maker.jwk))):
        twice = f'{{"{name}": {value}, {header[1:]}'
        assert refused(verifier, maker.signed(twice.encode(), CLAIMS))
    in_key = header.replace('"kty": "EC"', '"kty": "EC", "kty": "EC"')
    assert refused(verifier, maker.signed(in_key.encode(), CLAIMS))
    for name, claim in CLAIMS.items():
        twice = f'{{"{name}": {json.dumps(claim)}, {claims[1:]}'
        assert refused(verifier, maker.signed(head(maker), twice.encode()))
    for other in (
        b"[]",
        b"null",
        b"1",
        b'""',
        b"{",
        b"\xff",
        b"\xef\xbb\xbf" + claims.encode(),
        b"",
    ):
        assert refused(verifier, maker.signed(head(maker), other))
        assert refused(verifier, maker.signed(other, CLAIMS))
    lone = claims.replace('"j"', '"\\ud800"')
    assert refused(verifier, maker.signed(head(maker), lone.encode()))


@pytest.mark.parametrize("depth", [1000, 1400])
def test_deep_nesting_is_refused(maker: ProofMaker, verifier: ProofVerifier, depth: int) -> None:
    for deep in (b'{"a":' + b"[" * depth, b'{"a":' * (depth // 5)):
        assert refused(verifier, maker.signed(head(maker), deep))
        assert refused(verifier, maker.signed(deep, CLAIMS))


def test_what_is_too_long_is_refused_at_once(maker: ProofMaker, verifier: ProofVerifier) -> None:
    assert refused(verifier, maker.signed(head(maker), CLAIMS | {"more": "x" * 4096}))
    good = maker.signed(head(maker), CLAIMS)
    started = time.perf_counter()
    for long in ("x" * 5_000_000, good + "x" * 5_000_000, "." * 5_000_000, "é" * 5_000_000):
        assert refused(verifier, long)
    assert time.perf_counter() - started < 1  # A parser without a bound takes 250 ms for each.


def with_signature(proof: str, signature: bytes) -> str:
    return f"{proof.rpartition('.')[0]}.{base64url.encode(signature)}"


def signature_of(proof: str) -> tuple[int, int]:
    raw = base64url.decode(proof.rpartition(".")[2])
    return int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")


def pair(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, ORDER + 1, FIELD, 2**256 - 1, None])
@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, FIELD, 2**256 - 1, None])
def test_signatures_at_the_edges_of_the_numbers_are_refused(
    maker: ProofMaker, verifier: ProofVerifier, r: int | None, s: int | None
) -> None:
    proof = maker.signed(head(maker), CLAIMS)
    good_r, good_s = signature_of(proof)
    edge = pair(good_r if r is None else r, good_s if s is None else s)
    if r is s is None:
        assert accepted(verifier, with_signature(proof, edge))
    else:
        assert refused(verifier, with_signature(proof, edge))


def test_a_signature_that_is_not_reduced_is_refused() -> None:
    """``s + n`` is the same number modulo n, and fits into 32 bytes where s is small.

    A key can be made for a small s and any message; a proof is none, as it has the key in it.
    """
    message, r, small, k = b"a message", public(2).x % ORDER, 5, 2
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    scalar = pow(r, -1, ORDER) * (small * k - digest) % ORDER  # From s = (z + r d) / k.
    key = VerifyingKey("", "ES256", public(scalar).public_key())
    assert key.verifies(message, pair(r, small))
    assert not key.verifies(message, pair(r, small + ORDER))


def test_signatures_in_another_form_are_refused(maker: ProofMaker, verifier: ProofVerifier) -> None:
    proof = maker.signed(head(maker), CLAIMS)
    r, s = signature_of(proof)
    raw = pair(r, s)
    forms = {
        "DER": encode_dss_signature(r, s), "swapped": pair(s, r), "negative r": pair(ORDER - r, s),
        "63": raw[1:], "63 at the end": raw[:-1], "65": b"\0" + raw, "65 at the end": raw + b"\0",
        "128": raw + raw, "96": raw + raw[:32], "32": raw[:32], "1": b"\0", "zeros": bytes(64),
        "another's": base64url.decode(ProofMaker().signed(head(maker), CLAIMS).split(".")[2]),
        "little-endian": raw[:32][::-1] + raw[32:][::-1],
    }  # fmt: skip
    for name, form in forms.items():
        assert refused(verifier, with_signature(proof, form)), name


def test_the_other_valid_half_of_a_signature_is_the_same_proof(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    """ES256 has no rule of low s: ``n - s`` is valid, too, but has the same ``jti``."""
    proof = maker.signed(head(maker), CLAIMS)
    r, s = signature_of(proof)
    other = with_signature(proof, pair(r, ORDER - s))
    assert other != proof
    verified = [read(verifier, one) for one in (proof, other)]
    assert verified[0] == verified[1]


def test_a_changed_header_or_payload_is_refused(maker: ProofMaker, verifier: ProofVerifier) -> None:
    header, payload, signature = maker.signed(head(maker), CLAIMS).split(".")
    other = maker.signed(head(maker), CLAIMS | {"jti": "k"}).split(".")[1]
    theirs = ProofMaker().signed(head(ProofMaker()), CLAIMS).split(".")[0]
    assert accepted(verifier, f"{header}.{payload}.{signature}")
    for text in (f"{header}.{other}.{signature}", f"{theirs}.{payload}.{signature}"):
        assert refused(verifier, text)


def test_a_cached_key_verifies_only_what_it_signed(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    for _ in range(2):
        good = maker.signed(head(maker), CLAIMS)
        assert accepted(verifier, good)
        assert refused(verifier, ProofMaker().signed(head(maker), CLAIMS))


def test_only_authentic_proofs_keys_are_cached_and_the_newest(
    maker: ProofMaker, verifier: ProofVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "CACHE_SIZE", 2)
    cached = verifier._keys  # noqa: SLF001 - what is held in memory shows nowhere else
    assert refused(verifier, ProofMaker().signed(head(maker), CLAIMS))
    assert not cached
    makers = [maker, ProofMaker(), ProofMaker()]
    for one in (*makers[:2], maker, makers[2]):
        read(verifier, one.signed(head(one), CLAIMS))
    assert [key.jkt for key in cached.values()] == [maker.jkt, makers[2].jkt]


def test_a_header_of_white_space_is_not_cached(verifier: ProofVerifier, maker: ProofMaker) -> None:
    """Ten thousand of them would have 40 MB."""
    cached = verifier._keys  # noqa: SLF001 - what is held in memory shows nowhere else
    header = json.dumps(head(maker)).encode()
    for padding, size in ((b" " * 2000, 0), (b"", 1)):
        assert accepted(verifier, maker.signed(header + padding, CLAIMS))
        assert len(cached) == size


def test_a_proof_is_not_shown(maker: ProofMaker, verifier: ProofVerifier) -> None:
    secret = maker.signed(head(maker), CLAIMS | {"jti": "hidden", "nonce": "hidden"})
    assert "hidden" not in repr(read(verifier, secret))
    assert "hidden" not in repr(InvalidProof()) + repr(UseDPoPNonce("hidden"))


SEGMENTS = st.one_of(
    st.text(),
    st.binary().map(base64url.encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ).map(lambda value: base64url.encode(json.dumps(value).encode())),
)


@given(st.one_of(st.text(), st.lists(SEGMENTS, max_size=5).map(".".join)))
def test_no_text_gives_anything_but_the_one_error(text: str) -> None:
    assert refused(ProofVerifier(), text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
HONEST = ProofMaker(lambda: NOW)


@given(
    st.dictionaries(st.sampled_from(["htm", "htu", "iat", "jti", "nonce", "ath"]), VALUES),
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid", "crit"]), VALUES),
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d", "kid"]), VALUES),
)
def test_no_signed_claims_give_anything_but_a_proof_or_the_one_error(
    claims: dict[str, Any], header: dict[str, Any], key: dict[str, Any]
) -> None:
    jwk = HONEST.jwk | key
    proof = HONEST.signed(head(HONEST, jwk=jwk) | header, CLAIMS | claims)
    try:
        verified = read(ProofVerifier(), proof)
    except InvalidProof:
        return
    assert verified.jkt == HONEST.jkt
    assert 0 < len(verified.jti) <= 128


def test_the_response_to_a_refused_proof_names_no_reason() -> None:
    response = failure_response(InvalidProof())
    assert response.status == 401
    assert json.loads(response.body) == {"error": InvalidProof.message, "code": "INVALID_PROOF"}
    assert response.headers["WWW-Authenticate"] == (
        'DPoP realm="unexpired", algs="ES256", error="invalid_dpop_proof", '
        f'error_description="{InvalidProof.message}"'
    )
    assert "DPoP-Nonce" not in response.headers


def test_the_response_to_a_proof_without_a_nonce_brings_one() -> None:
    response = failure_response(UseDPoPNonce("n"))
    assert response.status == 401
    assert json.loads(response.body) == {
        "error": UseDPoPNonce.message, "code": "USE_DPOP_NONCE", "nonce": "n",
    }  # fmt: skip
    assert response.headers["DPoP-Nonce"] == "n"
    assert response.headers["WWW-Authenticate"].startswith(
        'DPoP realm="unexpired", algs="ES256", error="use_dpop_nonce"'
    )


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", None),
        ("https://api.example", "https://api.example"),
        ("https://api.example/", "https://api.example"),
        ("http://[::1]:8000/notes/v1", "http://[::1]:8000/notes/v1"),
    ],
)
def test_the_public_url_has_no_slash_at_its_end(given: str, url: str | None) -> None:
    assert load_settings(public_url=given).public_url == url


@pytest.mark.parametrize(
    "url",
    ["api.example", "ftp://a.example", "https://a.example/?x", "https://a.example/#x",
     "https://me@a.example", "https://a.example//", "https://a.example/a b", "wss://a.example",
     "https://a.example:65536", "https://[::::]"],
)  # fmt: skip
def test_a_public_url_that_clients_cannot_use_stops_the_server(url: str) -> None:
    with pytest.raises(SettingsError, match="Setting public_url:"):
        load_settings(public_url=url)


def test_required_proofs_must_be_read() -> None:
    with pytest.raises(SettingsError, match="The setting dpop_required needs dpop"):
        load_settings(dpop="off", dpop_required=True)
    assert load_settings(dpop_required=True).dpop == "refresh"


def test_threads_that_displace_each_others_keys_refuse_no_good_proof(
    monkeypatch: pytest.MonkeyPatch, maker: ProofMaker
) -> None:
    """A key may be gone as soon as it is stored."""
    monkeypatch.setattr(proofs, "CACHE_SIZE", 1)

    class Crowded(OrderedDict[str, VerifyingKey]):
        def __setitem__(self, header: str, key: VerifyingKey) -> None:
            super().__setitem__(header, key)
            super().__setitem__("another thread's", key)
            self.popitem(last=False)

    monkeypatch.setattr(proofs, "OrderedDict", Crowded)
    verifier = ProofVerifier()
    for _ in range(3):
        assert accepted(verifier, maker.proof("POST", URL))
