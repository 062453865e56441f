"""Proofs for the tokens of another server, judged by the time that they say (RFC 9449, 11.1).

The server that issues tokens knows by its nonces when a proof was made. A service that only
verifies gives out none: there a proof is good for as long as clocks may differ, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock

from unexpired_server.errors import InvalidProof, Unavailable
from unexpired_server.tokens.proof_urls import normal_url
from unexpired_server.tokens.proofs import Proof, ProofVerifier
from unexpired_server.tokens.replays import UsedProofs, proof_key

SHORTEST_LIFE = 5.0
"""Seconds, whatever the leeway: a proof has to arrive, and says its time in whole seconds, as do
the tokens by which a client learns how wrong its clock is."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as a proof must name it.

    Attributes:
        method: The method.
        url: The URL, as the client has it; or several, where not all is known of a proxy. Their
            queries do not count, and http counts as https, as a proxy may have ended TLS.
        proof: The header ``DPoP``; None without one. Several headers that a framework has joined
            are no proof.
    """

    method: str
    url: str | Collection[str] = field(repr=False)
    proof: str | None = field(default=None, repr=False)


class TimedProofs:
    """Verifies proofs by their time, in any thread.

    Args:
        leeway: How far clocks may differ, in seconds.
        now: The clock, in Unix seconds.
    """

    def __init__(self, leeway: float, now: Callable[[], float]) -> None:
        self._life = max(leeway, SHORTEST_LIFE)
        self._now = now
        self._verifier = ProofVerifier()
        # From a clock that is behind to one that is ahead.
        self._used = UsedProofs(now, 2 * self._life + 1)
        self._lock = Lock()

    def check(self, call: Call, token: str, jkt: str) -> None:
        """Check that a request proves the key of its token.

        Args:
            call: The request.
            token: The access token.
            jkt: The thumbprint of the key that the token is bound to.

        Raises:
            InvalidProof: It does not, or the proof is too old or was presented before.
            Unavailable: More proofs were accepted lately than can be remembered.
        """
        if call.proof is None:
            raise InvalidProof
        urls = [url for one in _texts(call.url) for url in _normal(one)]
        proof = self._verifier.verify(call.proof, method=call.method, urls=urls, access_token=token)
        if proof.jkt != jkt or abs(proof.issued_at - self._now()) > self._life:
            raise InvalidProof
        self._use(proof)

    def _use(self, proof: Proof) -> None:
        with self._lock:
            # To forget a proof that is good takes thousands of calls in each second.
            if not self._used.remembers(proof.issued_at):
                raise Unavailable
            if not self._used.add(proof_key(proof.jkt, proof.jti), proof.issued_at):
                raise InvalidProof


def _texts(urls: str | Collection[str]) -> Collection[str]:
    return [urls] if isinstance(urls, str) else urls


def _normal(url: str) -> tuple[str, ...]:
    """Return the forms of a URL that a proof may name; none where no client can have called it."""
    try:
        _, _, rest = normal_url(url.partition("?")[0].partition("#")[0]).partition("://")
    except ValueError:
        return ()
    return f"http://{rest}", f"https://{rest}"
