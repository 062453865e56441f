"""Proofs of the keys that sessions are bound to: from a request to its key (RFC 9449)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from starlette.requests import HTTPConnection, Request

from unexpired_server.errors import InvalidProof, UseDPoPNonce
from unexpired_server.http.request_urls import RequestURLs
from unexpired_server.ops.advice import Advice
from unexpired_server.ops.shared_keys import SharedKeys
from unexpired_server.settings import Settings
from unexpired_server.tokens.keys import KeyRing
from unexpired_server.tokens.proof_nonces import ProofNonces, nonce_life
from unexpired_server.tokens.proofs import Proof, ProofKey, ProofVerifier
from unexpired_server.tokens.replays import UsedProofs, proof_key

HEADER = b"dpop"

SIGN_IN_SECONDS = 60.0
"""How wrong a device's clock may be for a sign-in whose proof has no nonce. Such a proof is worth
nothing without the password; so most sign-ins need no further round trip."""

WITHOUT_PUBLIC_URL = (
    "a proof of a session's key is for another URL than the request's Host header and path say, "
    "and is refused: if a proxy changes them, set UNEXPIRED_PUBLIC_URL to the URL that clients use"
)
OTHER_PUBLIC_URL = (
    "a proof of a session's key is for another URL than UNEXPIRED_PUBLIC_URL says, and is refused: "
    "it must be the URL that clients use"
)
BEHIND_A_PROXY = (
    "there are trusted proxies, and UNEXPIRED_PUBLIC_URL is not set: if one of them changes Host "
    "or path, proofs of sessions' keys are refused, so set it to the URL that clients use"
)


class ProofChecker:
    """Finds the key that a request proves.

    Args:
        settings: Which requests need a proof, and the URL that clients use.
        ring: The keys, for nonces.
        now: The clock of all nodes, in Unix seconds.
        proof_key: Returns what verifies by a key; ``cryptography``'s when None.

    Raises:
        SettingsError: The settings name a Redis, and its client is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        ring: KeyRing,
        now: Callable[[], float],
        proof_key: ProofKey | None = None,
    ) -> None:
        self._settings = settings
        self._now = now
        life = nonce_life(settings)
        self._nonces = ProofNonces(ring, now, life)
        self._used = UsedProofs(now, life, self._nonces.renew)
        shared_by = settings.rate_limit_url if settings.dpop == "all" else None
        self._shared = SharedKeys(shared_by, life)
        self._urls = RequestURLs(settings.public_url)
        self._verifier = ProofVerifier(self._log_other_url, proof_key)
        self._advice = Advice()

    def nonce(self) -> str:
        """Return a fresh nonce, for the client's next proof."""
        return self._nonces.current()

    def sign_in_key(self, request: Request) -> str | None:
        """Return the thumbprint of the key that a sign-in binds its session to, if it brings one.

        Raises:
            InvalidProof: The proof is not valid, or is missing where one is required.
            UseDPoPNonce: The device's clock is wrong, or the proof's nonce is too old.
        """
        proof = self._proof_in(request)
        if proof is None:
            if self._settings.dpop_required:
                raise InvalidProof
            return None
        if proof.nonce is None and abs(proof.issued_at - self._now()) <= SIGN_IN_SECONDS:
            self._use(proof, self._now())
        else:
            self._use(proof, self._checked_time(proof))
        return proof.jkt

    def late_sign_in_key(self, request: Request) -> str | None:
        """Return the same for a user who is let in already, as by a link that is used up by now.

        Such a sign-in cannot be repeated with another proof. So this one may be of any time, which
        is safe, as it says only whom the session is bound to; and one that is not valid is as none.

        Raises:
            InvalidProof: There is no valid proof, and one is required.
        """
        with suppress(InvalidProof):
            if proof := self._proof_in(request):
                return proof.jkt
        if self._settings.dpop_required:
            raise InvalidProof
        return None

    def refresh_key(self, request: Request) -> str | None:
        """Return the thumbprint of the key that a refresh proves, if it brings a proof.

        Its proofs are not remembered: a repeat of a whole refresh has the same result as the first,
        and networks do repeat requests. The next refresh needs the key again.

        Raises:
            InvalidProof: The proof is not valid.
            UseDPoPNonce: It has no nonce, or one that is too old.
        """
        proof = self._proof_in(request)
        if proof is None:
            return None
        self._checked_time(proof)
        return proof.jkt

    async def check_call(self, request: HTTPConnection, access_token: str, jkt: str) -> None:
        """Check that a call with a bound token proves its key, in the header ``DPoP``.

        Args:
            request: The call.
            access_token: Its token, which is authentic.
            jkt: The thumbprint of the key that the token is bound to.

        Raises:
            InvalidProof: There is not exactly one proof, it is not valid for this call and token,
                it is by another key, or it was used before.
            UseDPoPNonce: It has no nonce, or one that is too old.
        """
        text = _header_of(request)
        if text is None:
            raise InvalidProof
        await self.check_text(text, request, access_token, jkt)

    async def check_text(
        self, text: str, request: HTTPConnection, access_token: str, jkt: str
    ) -> None:
        """Check a proof for a call that came elsewhere than in its header, as over a WebSocket.

        Args:
            text: The proof.
            request: The call; a WebSocket's is the GET that opened it.
            access_token: Its token, which is authentic.
            jkt: The thumbprint of the key that the token is bound to.

        Raises:
            InvalidProof: As in ``check_call``.
            UseDPoPNonce: As in ``check_call``.
        """
        proof = self._verified(text, request, access_token)
        if proof.jkt != jkt:
            raise InvalidProof
        key = self._use(proof, self._checked_time(proof))
        if not await self._shared.add(key):
            raise InvalidProof

    def advise(self) -> None:
        """Log what is likely to be missing in the settings."""
        settings = self._settings
        if settings.trusted_proxies and not settings.public_url and settings.dpop != "off":
            self._advice.give(BEHIND_A_PROXY)

    @property
    def is_degraded(self) -> bool:
        """Whether used proofs are known to fewer nodes than the settings say."""
        return self._shared.is_degraded

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._shared.close()

    def _proof_in(self, request: Request) -> Proof | None:
        if self._settings.dpop == "off":
            return None
        text = _header_of(request)
        return None if text is None else self._verified(text, request)

    def _verified(
        self, text: str, request: HTTPConnection, access_token: str | None = None
    ) -> Proof:
        method, urls = request.scope.get("method", "GET"), self._urls.of(request)
        return self._verifier.verify(text, method=method, urls=urls, access_token=access_token)

    def _checked_time(self, proof: Proof) -> float:
        """Return when a proof's nonce was issued, which must be recent."""
        issued_at = self._nonces.issued_at(proof.nonce or "")
        if issued_at is None or not self._nonces.is_young(issued_at):
            raise UseDPoPNonce(self.nonce())
        return issued_at

    def _use(self, proof: Proof, nonce_time: float) -> bytes:
        """Remember a proof, which must not have been used here before; return its key."""
        key = proof_key(proof.jkt, proof.jti)
        if not self._used.remembers(nonce_time):
            raise UseDPoPNonce(self.nonce())
        if not self._used.add(key, nonce_time):
            raise InvalidProof
        return key

    def _log_other_url(self) -> None:
        self._advice.give(OTHER_PUBLIC_URL if self._settings.public_url else WITHOUT_PUBLIC_URL)


def _header_of(request: HTTPConnection) -> str | None:
    """Return the one header with a proof, or None when there is none.

    Raises:
        InvalidProof: There is more than one (RFC 9449, section 4.3).
    """
    values = [value for name, value in request.scope["headers"] if name == HEADER]
    if len(values) > 1:
        raise InvalidProof
    return values[0].decode("latin-1") if values else None
