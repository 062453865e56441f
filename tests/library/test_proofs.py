"""Proofs of possession: what is signed, and what a response says of it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

import pytest

from tests.support.fake_server import error_response, json_response
from tests.support.provers import SyncFakeKey, read_proof
from unexpired.messages import Headers, Response
from unexpired.proofs import (
    Proof,
    draft,
    nonce_in,
    refuses_proof,
    signed,
    target_of,
    wants_another_proof,
)

URL = "https://api.example/api/notes?page=2#top"


def proof_text(proof: Proof, *, now: float = 1000.9) -> str:
    key = SyncFakeKey()
    message = draft(proof, key.public, "POST", URL, now=now, jti="an-id")
    return signed(message, key.sign(message))


def test_a_proof_names_the_request_and_verifies_by_its_own_key() -> None:
    """RFC 9449, section 4.2; the test's key shows its private part, which no proof may have."""
    proof = read_proof(proof_text(Proof("key")))
    assert proof.header == {"typ": "dpop+jwt", "alg": "ES256", "jwk": proof.header["jwk"]}
    assert list(proof.header["jwk"]) == ["kty", "crv", "x", "y"]
    htu = "https://api.example/api/notes"
    assert proof.claims == {"jti": "an-id", "htm": "POST", "htu": htu, "iat": 1000}


def test_a_proof_has_the_tokens_hash_the_nonce_and_the_servers_time() -> None:
    claims = read_proof(proof_text(Proof("key", "token", "a-nonce", skew=-3600.0))).claims
    ath = urlsafe_b64encode(sha256(b"token").digest()).rstrip(b"=").decode()
    assert (claims["ath"], claims["nonce"], claims["iat"]) == (ath, "a-nonce", -2599)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://API.example:443", "https://api.example/"),
        ("http://localhost:8000/api/?a=1", "http://localhost:8000/api/"),
        ("wss://api.example/chat", "https://api.example/chat"),
        ("ws://localhost/chat", "http://localhost/chat"),
        ("https://api.example/ä%20b(c)", "https://api.example/%C3%A4%20b(c)"),
    ],
)
def test_the_target_is_the_url_as_it_is_sent_without_its_query(url: str, target: str) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize(
    ("response", "wants", "refuses"),
    [
        (error_response(401, "USE_DPOP_NONCE"), True, False),
        (error_response(401, "INVALID_PROOF"), True, True),
        (error_response(400, "use_dpop_nonce"), True, False),
        (error_response(400, "invalid_dpop_proof"), True, True),
        (json_response(401, www_authenticate='DPoP error="use_dpop_nonce"'), True, False),
        (
            json_response(401, www_authenticate='Bearer, DPoP error="invalid_dpop_proof"'),
            True,
            True,
        ),
        (json_response(401, www_authenticate='Basic error="use_dpop_nonce"'), False, False),
        (error_response(403, "INVALID_PROOF"), False, False),
        (error_response(401, "TOKEN_EXPIRED"), False, False),
        (Response(401), False, False),
        (error_response(200, "INVALID_PROOF"), False, False),
    ],
)
def test_a_response_may_want_another_proof(
    response: Response, *, wants: bool, refuses: bool
) -> None:
    assert (wants_another_proof(response), refuses_proof(response)) == (wants, refuses)


@pytest.mark.parametrize(
    ("header", "field", "nonce"),
    [
        ("h", None, "h"),
        (None, "f", "f"),
        ("h", "f", "h"),
        ("h, h2", "f", "f"),
        (None, 7, None),
        (None, 'a"b', None),
        (None, "a b", None),
        ("", "", None),
        (None, "n" * 1025, None),
    ],
)
def test_a_nonce_is_in_the_header_or_in_the_body(header: Any, field: Any, nonce: Any) -> None:
    """The header may be hidden by CORS; two headers or a damaged nonce are as none."""
    named = Headers({} if header is None else {"DPoP-Nonce": header})
    body = json_response(401, {"nonce": field}).content
    assert nonce_in(Response(401, named, body)) == nonce


def test_nothing_shows_a_key() -> None:
    assert repr(Proof("a-private-key", "a-token")) == "<Proof>"
