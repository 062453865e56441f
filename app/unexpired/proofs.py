"""Proofs of possession (DPoP, RFC 9449): what a request must prove, and the text that proves it.

A proof is a JWT for one request, signed by the key that a session is bound to. The policy says what
is to be proved; a driver signs it by a key that a ``Prover`` keeps. Nothing here signs anything.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, urlsplit

from unexpired.challenges import challenge_errors
from unexpired.messages import IDEMPOTENT_METHODS, Request, Response
from unexpired.origins import origin_of

KEY_LOST = "KEY_LOST"
"""The code of a session that has ended because this device no longer has its key."""

BEARER = "Bearer"
DPOP = "DPoP"

# The codes of this project's own server, and those of RFC 9449, sections 5, 7.1 and 8.
_NONCE_CODES = {"USE_DPOP_NONCE", "use_dpop_nonce"}
_PROOF_CODES = {"INVALID_PROOF", "invalid_dpop_proof"}

_JWK = ("kty", "crv", "x", "y")  # A key that is shown whole may show its private part.

_to_json = json.JSONEncoder(separators=(",", ":")).encode

CACHED = 64
"""How many headers and URLs are cached: a session has one key, and a page few addresses. A draft
takes 14 µs in place of 29 in Chromium."""

# RFC 9449, section 8.1, and no longer than a header may be.
_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,1024}")

# What browsers leave unchanged in a path (URL Standard, path percent-encode set).
_SAFE_IN_PATH = "!$%&'()*+,/:;=@[]|^"


class KeyLost(Exception):  # noqa: N818 - named for the state
    """The key of a session is gone from this device for good."""


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """What a request must prove: that it was made by the holder of a key, and made now.

    Attributes:
        key: The handle of the key, as a ``Prover`` knows it.
        access_token: The access token that the request carries; None for none.
        nonce: What the server gave to be signed; None if it has given nothing.
        skew: The server's clock minus this device's, in seconds.
        url: The URL that is named where the server redirects to it; None: the request's own.
    """

    key: str
    access_token: str | None = None
    nonce: str | None = None
    skew: float = 0.0
    url: str | None = None

    def __repr__(self) -> str:
        return "<Proof>"  # A program's key is its own handle.


def draft(  # noqa: PLR0913 - the claims of RFC 9449, section 4.2
    proof: Proof, public: Mapping[str, str], method: str, url: str, *, now: float, jti: str
) -> bytes:
    """Return what is to be signed for one request.

    Args:
        proof: What is to be proved.
        public: The public key, as a JWK.
        method: The method of the request.
        url: The absolute URL of the request.
        now: The device's time, in Unix seconds.
        jti: An id that no other proof has.
    """
    htu, iat = target_of(proof.url or url), int(now + proof.skew)
    claims: dict[str, object] = {"jti": jti, "htm": method, "htu": htu, "iat": iat}
    if proof.access_token is not None:
        claims["ath"] = base64url(sha256(proof.access_token.encode()).digest())
    if proof.nonce is not None:
        claims["nonce"] = proof.nonce
    return f"{_header(*(public[name] for name in _JWK))}.{_segment(claims)}".encode()


def signed(message: bytes, signature: bytes) -> str:
    """Return the proof, as a JWS in compact form (RFC 7515, section 7.1).

    Args:
        message: The draft.
        signature: Its signature by ES256: ``r`` and ``s``, of 32 bytes each.
    """
    return f"{message.decode()}.{base64url(signature)}"


@lru_cache(maxsize=CACHED)
def target_of(url: str) -> str:
    """Return the URL that a proof names: without query and fragment (RFC 9449, section 4.2).

    A WebSocket's handshake is a request of http or https (RFC 6455, section 4.1).
    """
    url = re.sub(r"^ws(?=s?:)", "http", url, flags=re.IGNORECASE)
    path = quote(urlsplit(url).path, safe=_SAFE_IN_PATH)
    return f"{origin_of(url) or ''}{path or '/'}"


def wants_another_proof(response: Response) -> bool:
    """Return whether a response refuses a proof, or wants a newer one."""
    return bool(_refusals(response) & (_NONCE_CODES | _PROOF_CODES))


def refuses_proof(response: Response) -> bool:
    """Return whether a response refuses a proof for what it is, not for its age."""
    return bool(_refusals(response) & _PROOF_CODES)


def _refusals(response: Response) -> set[str | None]:
    # An authorization server answers with 400 (RFC 9449, section 8), any other one with 401.
    if response.status_code not in {400, 401}:
        return set()
    return {response.code, *challenge_errors(response)}


def next_proof(request: Request, proof: Proof, response: Response) -> Proof | None:
    """Return the proof that a response asks for; None if another one cannot help.

    A redirect takes the proof along, which is for another URL than the one it leads to.

    Args:
        request: The request.
        proof: What it has proved.
        response: The response to it, which knows the names of its code.
    """
    if not wants_another_proof(response):
        return None
    is_elsewhere = bool(response.url) and target_of(response.url) != target_of(request.url)
    url = response.url if is_elsewhere else None
    again = replace(proof, nonce=nonce_in(response) or proof.nonce, url=url)
    return None if again == proof and not _may_be_used_up(request, proof) else again


def _may_be_used_up(request: Request, proof: Proof) -> bool:
    """Return whether a proof may have been refused as used, and the call may be made twice.

    A browser sends a request once more by itself if a kept connection breaks (RFC 9110, section
    9.2.2), with the same proof.
    """
    is_idempotent = request.method in IDEMPOTENT_METHODS or "idempotency-key" in request.headers
    return proof.access_token is not None and is_idempotent


def nonce_in(response: Response) -> str | None:
    """Return the nonce that a response gives for the next proof, or None.

    Other people's CORS may hide the header, so this project's own server sends it as JSON, too.
    """
    return nonce_header(response) or checked_nonce(response.fields.get("nonce"))


def nonce_header(response: Response) -> str | None:
    """Return the nonce in the header of any response (RFC 9449, section 8.2), or None."""
    return checked_nonce(response.headers.get("dpop-nonce"))


def checked_nonce(value: object) -> str | None:
    """Return a value from outside if it can be signed as a nonce, else None."""
    return value if isinstance(value, str) and _NONCE.fullmatch(value) else None


def base64url(content: bytes) -> str:
    """Return bytes in base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@lru_cache(maxsize=CACHED)
def _header(*values: str) -> str:
    jwk = dict(zip(_JWK, values, strict=True))
    return _segment({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk})


def _segment(members: Mapping[str, object]) -> str:
    return base64url(_to_json(members).encode())
