"""Proofs of a key: what is authentic and for this request, and everything else INVALID_PROOF."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.proof_maker import ProofMaker
from unexpired_server.errors import InvalidProof, UseDPoPNonce
from unexpired_server.http.failure_response import failure_response
from unexpired_server.settings import SettingsError, load_settings
from unexpired_server.tokens.proofs import ProofVerifier, thumbprint

NOW = 1_700_000_000.0
URL = "https://api.example/api/login"
URLS = {URL}


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


def test_a_valid_proof_names_its_key_its_id_its_time_and_its_nonce(
    maker: ProofMaker, verifier: ProofVerifier
) -> None:
    proof = verifier.verify(maker.proof("POST", URL, jti="j", nonce="n"), method="POST", urls=URLS)
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


@pytest.mark.parametrize(
    "changes", [{"htm": "GET"}, {"htm": "post"}, {"htu": "https://other.example/api/login"}]
)
def test_a_proof_for_another_request_is_refused(
    maker: ProofMaker, verifier: ProofVerifier, changes: dict[str, Any]
) -> None:
    assert refused(verifier, maker.proof("POST", URL, **changes))


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
     "https://me@a.example", "https://a.example//", "https://a.example/a b", "wss://a.example"],
)  # fmt: skip
def test_a_public_url_that_clients_cannot_use_stops_the_server(url: str) -> None:
    with pytest.raises(SettingsError, match="Setting public_url:"):
        load_settings(public_url=url)


def test_required_proofs_must_be_read() -> None:
    with pytest.raises(SettingsError, match="The setting dpop_required needs dpop"):
        load_settings(dpop="off", dpop_required=True)
    assert load_settings(dpop_required=True).dpop == "refresh"
