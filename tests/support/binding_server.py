"""A server in memory that binds its session to a key, for the client's tests."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from tests.support.fake_server import (
    API,
    AsyncFakeServer,
    FakeServer,
    SyncFakeServer,
    error_response,
    json_response,
    token_fields,
)
from tests.support.provers import ReadProof, proof_of
from unexpired import Request, Response

MOST_SKEW = 60  # s


@dataclass
class BindingServer(FakeServer):
    """Binds the session to the key of its sign-in, and verifies every proof.

    Attributes:
        binds: Whether it binds sessions, as with ``DPOP=refresh``.
        proves_calls: Whether calls need proofs, as with ``DPOP=all``.
        refuses_proofs: Whether it refuses every proof, as behind a proxy that it does not know.
        nonce: What it wants to be signed.
        tells_nonce: Whether a token response brings the nonce again, as our own server's does.
        jwk: The key of the session; None if it is bound to none.
        proofs: Every proof so far, with the path that it was for; None where there was none.
    """

    binds: bool = True
    proves_calls: bool = False
    refuses_proofs: bool = False
    nonce: str = "nonce-1"
    tells_nonce: bool = True
    jwk: Mapping[str, str] | None = None
    proofs: list[tuple[str, ReadProof | None]] = field(default_factory=list)

    def respond(self, request: Request) -> Response:
        """Respond to a request, whose proof is verified first."""
        path = urlsplit(request.url).path
        proof = proof_of(request) if "dpop" in request.headers else None
        self.proofs.append((path, proof))
        if path in {"/api/login", "/api/signup"}:
            return self._sign_in(request, proof)
        if path in self.responses or path == "/api/logout":
            return super().respond(request)
        refusal = self._refusal(request, proof)
        return super().respond(request) if refusal is None else refusal

    def _sign_in(self, request: Request, proof: ReadProof | None) -> Response:
        self.jwk = None
        if proof is not None and self.binds:
            self._check_request(request, proof)
            if self.refuses_proofs:
                return error_response(401, "INVALID_PROOF")
            is_fresh = abs(proof.claims["iat"] - self.clock.wall) <= MOST_SKEW
            if not is_fresh and proof.claims.get("nonce") != self.nonce:
                return self._nonce_wanted()
            self.jwk = proof.header["jwk"]
        return super().respond(Request(request.method, f"{API}/api/login"))

    def _refusal(self, request: Request, proof: ReadProof | None) -> Response | None:
        is_refresh = request.url == f"{API}/api/refresh"
        if self.jwk is None or not (is_refresh or self.proves_calls):
            return None
        if proof is None or self.refuses_proofs:
            return error_response(401, "INVALID_PROOF")
        self._check_request(request, proof)
        if proof.header["jwk"] != self.jwk:
            return error_response(401, "REFRESH_INVALID")
        if proof.claims.get("nonce") != self.nonce:
            return self._nonce_wanted()
        if not is_refresh:
            scheme, _, token = request.headers["authorization"].partition(" ")
            digest = urlsafe_b64encode(sha256(token.encode()).digest()).rstrip(b"=").decode()
            assert (scheme, proof.claims["ath"]) == ("DPoP", digest)
        return None

    @staticmethod
    def _check_request(request: Request, proof: ReadProof) -> None:
        named = proof.claims["htm"], proof.claims["htu"]
        assert named == (request.method, request.url.partition("?")[0])

    def _nonce_wanted(self) -> Response:
        fields = {"error": "A message.", "code": "USE_DPOP_NONCE", "nonce": self.nonce}
        return json_response(401, fields)

    def issue(self, _request: Request) -> Response:
        """Respond with the next token pair."""
        self.generation += 1
        fields = token_fields(self.generation, now=self.clock.wall)
        return json_response(200, {**fields, **self._binding()})

    def _binding(self) -> Mapping[str, Any]:
        if self.jwk is None or not self.binds:
            return {}
        scheme = "DPoP" if self.proves_calls else "Bearer"
        nonce = {"nonce": self.nonce} if self.tells_nonce else {}
        return {"bound": True, "tokenType": scheme, **nonce}

    def check(self, request: Request) -> Response:
        """Respond to a call: 401 unless it carries the newest token."""
        token = token_fields(self.generation, now=self.clock.wall)["accessToken"]
        is_good = request.headers.get("authorization", "").partition(" ")[2] == token
        return json_response(200, {"ok": True}) if is_good else error_response(401, "TOKEN_EXPIRED")


@dataclass
class AsyncBindingServer(BindingServer, AsyncFakeServer):
    """The server as an ``AsyncClient``'s transport."""


@dataclass
class SyncBindingServer(BindingServer, SyncFakeServer):
    """The server as a ``Client``'s transport."""
