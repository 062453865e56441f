"""An identity provider in threads of the test's own process, which lies where a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from tests.support.fake_issuer import OIDC, Answer
from tests.support.raw_client import DEVICE_GRANT
from tests.support.threaded_server import QuietHandler, ThreadedServer

KEY_ID = "one"
ID_TOKEN_LIFE = 3600
HANG_SECONDS = 60
DESCRIPTION = "What a provider tells developers, and nobody else may see."
ENDPOINTS: Mapping[str, str | None] = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/token",
    "revocation_endpoint": "/revoke",
    "introspection_endpoint": "/introspect",
    "userinfo_endpoint": "/userinfo",
    "end_session_endpoint": "/logout",
    "device_authorization_endpoint": "/device",
    "jwks_uri": "/jwks",
}
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "authorization, content-type, dpop",
    "Access-Control-Expose-Headers": "dpop-nonce, www-authenticate, retry-after",
}
BACK = ("post_logout_redirect_uri", "logout_uri", "returnTo")
"""What providers call the parameter of a sign-out that says where to go then."""

KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "HS256": "a secret of thirty-two bytes or more",
    "none": None,
}

NEEDED = {"client_id", "redirect_uri", "code_challenge"}
CODE_WITH_PKCE = {"response_type": "code", "code_challenge_method": "S256"}

Changes = dict[str, Any]
"""Members of a message with other values; None leaves one out."""


@dataclass(frozen=True)
class Sent:
    """A request.

    Attributes:
        method: Its method.
        path: Its path.
        form: The parameters of its query and of its body.
        headers: Its headers.
    """

    method: str
    path: str
    form: dict[str, str]
    headers: Message


@dataclass
class Grant:
    """What one sign-in allows.

    Attributes:
        asked: The parameters of the authorization request, or of the device's.
        signed_in_at: When the person signed in.
        refresh_token: The one that is good now.
        is_ended: It is revoked.
    """

    asked: Mapping[str, str]
    signed_in_at: int
    refresh_token: str = ""
    is_ended: bool = False


class LyingProvider(ThreadedServer):
    """A provider on a free port, for a ``with`` block, that signs everyone in at once.

    It is honest until a test changes an attribute.

    Args:
        path: The path of its name, such as "/tenant".
        endpoints: Other paths than those of ``ENDPOINTS``; None: it has no such endpoint.
        now: The clock, in Unix seconds.

    Attributes:
        issuer: Its name.
        sent: The requests, in their order; those that ask for permission (CORS) are left out.
        answers: Responses by path in place of its own.
        metadata: Changes of what it says of itself.
        answer: Changes of the parameters that a browser is sent back with; a list repeats one.
        tokens: Changes of the response to a token request.
        claims: Changes of the ID token's claims.
        header: Changes of the ID token's header.
        algorithm: Signs the ID token; one of ``KEYS``.
        user: Changes of the response to a userinfo request.
        introspection: Changes of the response to an introspection.
        device: Changes of the response to a device.
        device_answers: Error codes that a device receives before its tokens, in their order.
        subject: Who signs in.
        access_ttl: How long an access token lives, in seconds.
        rotates: A refresh token is good for one refresh; a second use ends the session.
        allows_origins: Pages of all origins may call, or of none.
        open: Requests hang while it is not set.
    """

    def __init__(
        self,
        path: str = "",
        endpoints: Mapping[str, str | None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(self._handler())
        self.issuer = self.url + path
        self._now = now
        self._endpoints = {
            name: at for name, at in {**ENDPOINTS, **(endpoints or {})}.items() if at is not None
        }
        self._grants: dict[str, Grant] = {}  # By code, device code, access or refresh token.
        self.discovery = f"{path.rstrip('/')}{OIDC}"
        self.sent: list[Sent] = []
        self.answers: dict[str, Answer] = {}
        self.metadata: Changes = {}
        self.answer: Changes = {}
        self.tokens: Changes = {}
        self.claims: Changes = {}
        self.header: Changes = {}
        self.algorithm = "RS256"
        self.user: Changes = {}
        self.introspection: Changes = {}
        self.device: Changes = {}
        self.device_answers: list[str] = []
        self.subject = "ada"
        self.access_ttl = 300
        self.rotates = True
        self.allows_origins = True
        self.open = threading.Event()
        self.open.set()

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.open.set()
        super().__exit__()

    # -- What a test reads ---------------------------------------------------------------------

    @property
    def requests(self) -> Counter[str]:
        """How many requests there were by path."""
        return Counter(one.path for one in self.sent)

    def forms(self, path: str) -> list[dict[str, str]]:
        """Return the parameters of each request for a path."""
        return [one.form for one in self.sent if one.path == path]

    def described(self) -> dict[str, Any]:
        """Return what it says of itself (OpenID Connect Discovery, 3)."""
        named = {name: f"{self.url}{path}" for name, path in self._endpoints.items()}
        document = {
            "issuer": self.issuer,
            **named,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return _changed(document, self.metadata)

    def fail(self, path: str, status: int, error: str = "", **headers: str) -> None:
        """Answer requests for a path so from now on; ``answers.pop(path)`` ends it."""
        body = json.dumps({"error": error, "error_description": DESCRIPTION}) if error else "Down."
        self.answers[path] = status, headers, body.encode()

    # -- Its endpoints -------------------------------------------------------------------------

    def respond(self, request: Sent) -> Answer:
        """Return the response to a request."""
        if request.path in self.answers:
            return self.answers[request.path]
        if request.path == self.discovery:
            return _json(self.described())
        for name, path in self._endpoints.items():
            if path == request.path:
                answer: Answer = getattr(self, f"_{name}")(request)
                return answer
        return 404, {}, b"Not here."

    def _jwks_uri(self, _: Sent) -> Answer:
        public = RSAAlgorithm.to_jwk(KEYS["RS256"].public_key(), as_dict=True)
        return _json({"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]})

    def _authorization_endpoint(self, request: Sent) -> Answer:
        asked = request.form
        if not asked.keys() >= NEEDED or not asked.items() >= CODE_WITH_PKCE.items():
            return _error("invalid_request")
        code = self._keep(Grant(asked, int(self._now())))
        answer = {"code": code, "state": asked.get("state"), "iss": self.issuer}
        return _redirect(asked["redirect_uri"], _changed(answer, self.answer))

    def _token_endpoint(self, request: Sent) -> Answer:
        grants = {
            "authorization_code": self._redeemed,
            "refresh_token": self._refreshed,
            DEVICE_GRANT: self._polled,
        }
        granted = grants.get(request.form.get("grant_type", ""))
        return granted(request.form) if granted else _error("unsupported_grant_type")

    def _redeemed(self, form: Mapping[str, str]) -> Answer:
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None:
            return _error("invalid_grant")
        if grant.asked["code_challenge"] != _challenge(form.get("code_verifier", "")):
            return _error("invalid_grant")
        if any(grant.asked[name] != form.get(name) for name in ("client_id", "redirect_uri")):
            return _error("invalid_grant")
        return self._issue(grant, nonce=grant.asked.get("nonce"))

    def _refreshed(self, form: Mapping[str, str]) -> Answer:
        token = form.get("refresh_token", "")
        grant = self._grants.get(token)
        if grant is None or grant.is_ended:
            return _error("invalid_grant")
        if token != grant.refresh_token:
            grant.is_ended = True
            return _error("invalid_grant")
        return self._issue(grant)

    def _polled(self, form: Mapping[str, str]) -> Answer:
        if self.device_answers:
            return _error(self.device_answers.pop(0))
        grant = self._grants.pop(form.get("device_code", ""), None)
        return self._issue(grant) if grant else _error("expired_token")

    def _issue(self, grant: Grant, **claims: Any) -> Answer:
        access_token = self._keep(grant)
        if self.rotates or not grant.refresh_token:
            grant.refresh_token = self._keep(grant)
        response = {
            "token_type": "Bearer",
            "access_token": access_token,
            "expires_in": self.access_ttl,
            "refresh_token": grant.refresh_token,
            "scope": grant.asked.get("scope"),
            "id_token": self.id_token(grant, **claims),
        }
        return _json(_changed(response, self.tokens))

    def id_token(self, grant: Grant, **more: Any) -> str:
        """Return an ID token (OpenID Connect Core, 2)."""
        issued_at = int(self._now())
        claims = {
            "iss": self.issuer,
            "aud": grant.asked["client_id"],
            "sub": self.subject,
            "iat": issued_at,
            "exp": issued_at + ID_TOKEN_LIFE,
            "auth_time": grant.signed_in_at,
            **self._person(),
            **more,
        }
        return jwt.encode(
            _changed(claims, self.claims),
            KEYS[self.algorithm],
            self.algorithm,
            _changed({"kid": KEY_ID}, self.header),
        )

    def _revocation_endpoint(self, request: Sent) -> Answer:
        grant = self._grants.get(request.form.get("token", ""))
        if grant is not None:
            grant.is_ended = True
        return 200, {}, b""

    def _introspection_endpoint(self, request: Sent) -> Answer:
        if "Authorization" not in request.headers and "client_secret" not in request.form:
            return _error("invalid_client", 401)
        grant = self._grants.get(request.form.get("token", ""))
        if grant is None or grant.is_ended:
            return _json({"active": False})
        seen = {
            "active": True,
            "iss": self.issuer,
            "sub": self.subject,
            "client_id": grant.asked["client_id"],
            "scope": grant.asked.get("scope"),
            "exp": int(self._now()) + self.access_ttl,
        }
        return _json(_changed(seen, self.introspection))

    def _userinfo_endpoint(self, request: Sent) -> Answer:
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._grants.get(token)
        if grant is None or grant.is_ended:
            status, headers, body = _error("invalid_token", 401)
            return status, {**headers, "WWW-Authenticate": 'Bearer error="invalid_token"'}, body
        return _json(_changed({"sub": self.subject, **self._person()}, self.user))

    def _end_session_endpoint(self, request: Sent) -> Answer:
        back = next((request.form[name] for name in BACK if name in request.form), None)
        if back is None:
            return 200, {"Content-Type": "text/plain"}, b"You are signed out."
        return _redirect(back, {"state": request.form.get("state")})

    def _device_authorization_endpoint(self, request: Sent) -> Answer:
        code = self._keep(Grant(request.form, int(self._now())))
        response = {
            "device_code": code,
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.url}/verify",
            "verification_uri_complete": f"{self.url}/verify?user_code=ABCD-EFGH",
            "expires_in": 600,
            "interval": 1,
        }
        return _json(_changed(response, self.device))

    def _person(self) -> dict[str, str]:
        name = self.subject.capitalize()
        return {"name": name, "email": f"{self.subject}@example.com"}

    def _keep(self, grant: Grant) -> str:
        text = secrets.token_urlsafe(24)
        self._grants[text] = grant
        return text

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base class names it
                self._answer("")

            def do_POST(self) -> None:  # noqa: N802
                self._answer(self.rfile.read(int(self.headers["Content-Length"] or 0)).decode())

            def do_OPTIONS(self) -> None:  # noqa: N802
                self._send(204, {}, b"")

            def _answer(self, body: str) -> None:
                url = urlsplit(self.path)
                form = dict(parse_qsl(url.query) + parse_qsl(body))
                request = Sent(self.command, url.path, form, self.headers)
                provider.sent.append(request)
                provider.open.wait(HANG_SECONDS)
                self._send(*provider.respond(request))

            def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**(CORS if provider.allows_origins else {}), **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def _changed(message: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    return {name: value for name, value in {**message, **changes}.items() if value is not None}


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _json(body: Any, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return status, headers, json.dumps(body).encode()


def _error(code: str, status: int = 400) -> Answer:
    return _json({"error": code, "error_description": DESCRIPTION}, status)


def _redirect(to: str, parameters: Changes) -> Answer:
    query = urlencode(_changed(parameters, {}), doseq=True)
    joint = "&" if "?" in to else "?"
    return 302, {"Location": f"{to}{joint}{query}" if query else to}, b""
