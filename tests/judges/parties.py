"""Those who are shown a proof: our server, oidc-provider, and the libraries of resource servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import httpx

from tests.contract.real_servers import PASSWORD as PEER_PASSWORD
from tests.judges.asking import Judges, Refused
from tests.judges.attempts import Attempt, Make, Target, good
from tests.support import plain_http
from tests.support.proof_maker import ProofMaker
from tests.support.server_process import PASSWORDS

ACCEPTED = "accepted"
REFUSED = "refused"
NOT_ASKED = "-"
CLIENT_ID = "notes-dpop"

Send = Callable[[Attempt], httpx.Response]


@dataclass
class SignedIn:
    """A session that is bound to a key.

    Attributes:
        maker: Makes proofs by its key.
        access_token: For calls.
        refresh_token: For refreshes.
        nonce: What the server gave last.
    """

    maker: ProofMaker
    access_token: str
    refresh_token: str
    nonce: str


class Party(Protocol):
    """Somebody who accepts or refuses."""

    def outcome(self, make: Make) -> str:
        """Return ``ACCEPTED``, or the code of the refusal."""


class Server(Protocol):
    """A server that binds sessions, and judges calls and refreshes."""

    call_url: str
    refresh_url: str

    def sign_in(self) -> SignedIn: ...

    def session_for_calls(self) -> SignedIn: ...

    def send_call(self, session: SignedIn, attempt: Attempt) -> httpx.Response: ...

    def send_refresh(self, session: SignedIn, attempt: Attempt) -> httpx.Response: ...

    def code(self, response: httpx.Response) -> str: ...


@dataclass
class OurServer:
    """Our own server, with ``DPOP=all``."""

    url: str
    call_url: str = field(init=False)
    refresh_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.call_url, self.refresh_url = f"{self.url}/api/me", f"{self.url}/api/refresh"

    def sign_in(self) -> SignedIn:
        maker, url = ProofMaker(), f"{self.url}/api/login"
        body = {"username": "ada", "password": PASSWORDS["ada"]}
        response = plain_http.post(url, json=body, headers={"DPoP": maker.proof("POST", url)})
        assert response.status_code == 200, response.text
        tokens = response.json()
        return SignedIn(maker, tokens["accessToken"], tokens["refreshToken"], tokens["nonce"])

    @cached_property
    def _session(self) -> SignedIn:
        return self.sign_in()

    def session_for_calls(self) -> SignedIn:
        return self._session  # No call ends or changes it, and a password costs time.

    def send_call(self, session: SignedIn, attempt: Attempt) -> httpx.Response:
        return plain_http.get(self.call_url, headers=_headers(attempt, session.access_token))

    def send_refresh(self, session: SignedIn, attempt: Attempt) -> httpx.Response:
        body = {"refreshToken": session.refresh_token}
        return plain_http.post(self.refresh_url, json=body, headers=_headers(attempt))

    def code(self, response: httpx.Response) -> str:
        return f"`{response.json()['code']}`"


@dataclass
class OidcProvider:
    """npm's oidc-provider, which requires nonces."""

    url: str
    call_url: str = field(init=False)
    refresh_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.call_url, self.refresh_url = f"{self.url}/me", f"{self.url}/token"

    def sign_in(self) -> SignedIn:
        maker = ProofMaker()
        fields = {"grant_type": "password", "username": "ada", "password": PEER_PASSWORD}
        nonce = self._send(fields, [maker.proof("POST", self.refresh_url)]).headers["dpop-nonce"]
        response = self._send(fields, [maker.proof("POST", self.refresh_url, nonce=nonce)])
        assert response.status_code == 200, response.text
        tokens = response.json()
        return SignedIn(maker, tokens["access_token"], tokens["refresh_token"], nonce)

    def session_for_calls(self) -> SignedIn:
        return self.sign_in()  # Its nonces live for two minutes.

    def send_call(self, session: SignedIn, attempt: Attempt) -> httpx.Response:
        return plain_http.get(self.call_url, headers=_headers(attempt, session.access_token))

    def send_refresh(self, session: SignedIn, attempt: Attempt) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": session.refresh_token}
        return self._send(fields, list(attempt.proofs))

    def _send(self, fields: dict[str, str], proofs: list[str]) -> httpx.Response:
        fields = {**fields, "client_id": CLIENT_ID}
        return plain_http.post(self.refresh_url, data=fields, headers=_headers(Attempt((*proofs,))))

    def code(self, response: httpx.Response) -> str:
        return f"`{response.json()['error']}`"


def _headers(attempt: Attempt, access_token: str | None = None) -> list[tuple[str, str]]:
    proofs = [("DPoP", one) for one in attempt.proofs]
    if access_token is None:
        return proofs
    return [("Authorization", f"{attempt.scheme} {access_token}"), *proofs]


@dataclass
class Calls:
    """A server's judgement of calls; what it refuses has ended nothing."""

    server: Server

    def outcome(self, make: Make) -> str:
        session = self.server.session_for_calls()
        target = Target("GET", self.server.call_url, session.nonce, session.access_token)
        outcome = _outcome(
            self.server,
            make(session.maker, target),
            lambda attempt: self.server.send_call(session, attempt),
        )
        honest = Attempt((good(session.maker, target),))
        assert self.server.send_call(session, honest).status_code == 200
        return outcome


@dataclass
class Refreshes:
    """A server's judgement of refreshes; what it refuses has ended nothing and stepped nothing."""

    server: Server

    def outcome(self, make: Make) -> str:
        session = self.server.sign_in()
        target = Target("POST", self.server.refresh_url, session.nonce)
        outcome = _outcome(
            self.server,
            make(session.maker, target),
            lambda attempt: self.server.send_refresh(session, attempt),
        )
        if outcome != ACCEPTED and not make(session.maker, target).is_repeated:
            honest = Attempt((good(session.maker, target),))
            assert self.server.send_refresh(session, honest).status_code == 200
        return outcome


def _outcome(server: Server, attempt: Attempt, send: Send) -> str:
    response = send(attempt)
    if attempt.is_repeated:
        assert response.status_code == 200, response.text
        response = send(attempt)
    return ACCEPTED if response.status_code == 200 else server.code(response)


@dataclass
class OAuth4WebAPI:
    """npm's oauth4webapi, as a resource server that knows our public keys."""

    judges: Judges
    server: Server
    jwks: dict[str, Any]
    issuer: str
    audience: str

    def outcome(self, make: Make) -> str:
        session = self.server.session_for_calls()
        target = Target("GET", self.server.call_url, session.nonce, session.access_token)
        attempt = make(session.maker, target)
        return _judged(lambda: self.accept(target, attempt))

    def accept(self, target: Target, attempt: Attempt) -> dict[str, Any]:
        """Return the claims of a call's access token.

        Raises:
            Refused: The call is not accepted.
        """
        known = {"jwks": self.jwks, "issuer": self.issuer, "audience": self.audience}
        headers = _headers(attempt, target.access_token)
        call = {"method": target.method, "url": target.url, "headers": headers}
        claims: dict[str, Any] = self.judges.ask("oauthAccepts", **call, **known)["claims"]
        return claims


@dataclass
class Jose:
    """npm's jose, which verifies the proof as a JWT with its own key, and leaves the rest."""

    judges: Judges
    server: Server

    def outcome(self, make: Make) -> str:
        target = Target("GET", self.server.call_url, "nonce", "token")
        attempt = make(ProofMaker(), target)
        if len(attempt.proofs) != 1 or attempt.is_repeated:
            return NOT_ASKED
        return _judged(lambda: self.judges.ask("joseAccepts", proof=attempt.proofs[0]))


def _judged(judge: Callable[[], object]) -> str:
    try:
        judge()
    except Refused:
        return REFUSED
    return ACCEPTED


def json_of(url: str) -> dict[str, Any]:
    """Return a document of a server."""
    document: dict[str, Any] = json.loads(plain_http.get(url).text)
    return document
