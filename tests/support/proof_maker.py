"""Proofs of possession by one key (RFC 9449), good ones and any others."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from unexpired_server.tokens import base64url


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


@dataclass
class ProofMaker:
    """Makes proofs by one key.

    Attributes:
        now: The clock of the device, in Unix seconds.
        key: The key.
    """

    now: Callable[[], float] = time.time
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key."""
        numbers = self.key.public_key().public_numbers()
        x, y = (base64url.encode(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    @property
    def jkt(self) -> str:
        """The thumbprint of the key (RFC 7638)."""
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return base64url.encode(hashlib.sha256(canonical.encode()).digest())

    def proof(
        self,
        method: str,
        url: str,
        *,
        nonce: str | None = None,
        access_token: str | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a proof.

        Args:
            method: The request's method.
            url: The request's URL; its query is left out.
            nonce: What the server gave last.
            access_token: The token that the request carries.
            header: Changes of the header; None removes a member.
            **changes: Changes of the claims; None removes one.
        """
        claims = {
            "htm": method,
            "htu": url.partition("?")[0],
            "iat": int(self.now()),
            "jti": secrets.token_urlsafe(16),
            "nonce": nonce,
            "ath": access_token
            and base64url.encode(hashlib.sha256(access_token.encode()).digest()),
        }
        head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}
        return self.signed({**head, **(header or {})}, {**claims, **changes})

    def signed(self, header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes) -> str:
        """Return any header and claims, signed; members that are None are left out.

        Bytes are JSON, or something else, as it is.
        """
        message = f"{_segment(header)}.{_segment(claims)}"
        return f"{message}.{base64url.encode(self.signature(message.encode()))}"

    def signature(self, message: bytes) -> bytes:
        """Return ``r || s`` of a message (RFC 7518, section 3.4)."""
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _segment(members: Mapping[str, Any] | bytes) -> str:
    if isinstance(members, bytes):
        return base64url.encode(members)
    kept = {name: value for name, value in members.items() if value is not None}
    return base64url.encode(json.dumps(kept, separators=(",", ":")).encode())
