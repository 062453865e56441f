"""A client of a provider by hand, over plain HTTP: none of the library is in it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import jwt

from tests.support import plain_http

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class RawClient:
    """A client that is registered at a provider.

    Attributes:
        metadata: What the provider says of itself.
        client_id: Its name there.
        redirect_uri: As registered.
        secret: Of a client on a server.
        scope: What it asks for.
        verifier: Of PKCE (RFC 7636, section 4.1), one for all its sign-ins.
    """

    metadata: Mapping[str, Any]
    client_id: str
    redirect_uri: str = ""
    secret: str = ""
    scope: str = "openid offline_access profile"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def authorization_url(self, **more: str) -> str:
        """Return where a person is sent to sign in."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "prompt": "consent",
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.metadata['authorization_endpoint']}?{urlencode(query | more)}"

    def redeem(self, callback: str, **more: str) -> httpx.Response:
        """Exchange the code in the URL that the browser was sent back to."""
        return self._post("token_endpoint", **self._redemption(callback) | more)

    def redeem_bound(
        self, callback: str, proof: Callable[..., str]
    ) -> tuple[httpx.Response, httpx.Response]:
        """Exchange the code with a proof (RFC 9449), and again with the nonce then asked for.

        Args:
            callback: The URL that the browser was sent back to.
            proof: Makes a proof for a method and a URL, and for a ``nonce``.
        """
        url = self.metadata["token_endpoint"]
        form = {"client_id": self.client_id, **self._redemption(callback)}
        first = plain_http.post(url, data=form, headers={"DPoP": proof("POST", url)})
        again = proof("POST", url, nonce=first.headers["dpop-nonce"])
        return first, plain_http.post(url, data=form, headers={"DPoP": again})

    def refresh(self, refresh_token: str, **more: str) -> httpx.Response:
        """Exchange a refresh token."""
        return self.token("refresh_token", refresh_token=refresh_token, **more)

    def start_device(self) -> httpx.Response:
        """Ask for a code that a person enters elsewhere (RFC 8628, section 3.1)."""
        return self._post("device_authorization_endpoint", scope=self.scope, prompt="consent")

    def poll(self, device_code: str) -> httpx.Response:
        """Ask whether the person has agreed (RFC 8628, section 3.4)."""
        return self.token(DEVICE_GRANT, device_code=device_code)

    def revoke(self, token: str) -> httpx.Response:
        """End a token (RFC 7009)."""
        return self._post("revocation_endpoint", token=token)

    def introspect(self, token: str) -> httpx.Response:
        """Ask what a token is worth (RFC 7662)."""
        return self._post("introspection_endpoint", token=token)

    def userinfo(self, access_token: str) -> httpx.Response:
        """Ask who has signed in (OpenID Connect Core, 5.3)."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return plain_http.get(self.metadata["userinfo_endpoint"], headers=headers)

    def token(self, grant_type: str, **form: str) -> httpx.Response:
        """Send a token request (RFC 6749, section 3.2)."""
        return self._post("token_endpoint", grant_type=grant_type, **form)

    def _redemption(self, callback: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": answer_in(callback)["code"],
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }

    def _post(self, endpoint: str, **form: str) -> httpx.Response:
        if self.secret:
            by = httpx.BasicAuth(self.client_id, self.secret)
            return plain_http.post(self.metadata[endpoint], data=form, auth=by)
        return plain_http.post(self.metadata[endpoint], data={"client_id": self.client_id, **form})


def answer_in(callback: str) -> dict[str, str]:
    """Return the parameters of the URL that the browser was sent back to."""
    return dict(parse_qsl(urlsplit(callback).query))


def tokens_in(response: httpx.Response) -> dict[str, Any]:
    """Return the tokens of a response that has them."""
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.json()
    return tokens


def claims_in(token: str) -> dict[str, Any]:
    """Return what a token says; its signature is not verified."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return response.status_code, response.json()["error"]
