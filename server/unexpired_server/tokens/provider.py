"""This server as a client of an OpenID Connect provider: the flow with a code, in the back end.

OpenID Connect Core 1.0, section 3.1; PKCE (RFC 7636); the issuer in the response (RFC 9207).
What goes wrong has a short code of ours. The provider's own texts are shown to nobody and not
logged: anyone can write the address that a person comes back to.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from unexpired_server.errors import Challenge, Unavailable
from unexpired_server.settings import Settings
from unexpired_server.tokens import base64url
from unexpired_server.tokens.discovery import Discovery
from unexpired_server.tokens.forms import Form, FormResponse, basic_credentials
from unexpired_server.tokens.id_tokens import IdTokenVerifier
from unexpired_server.tokens.jwk_set import ALGORITHMS
from unexpired_server.tokens.provider_requests import ProviderDownError, ProviderRequests
from unexpired_server.tokens.read_only import ReadOnlyDict
from unexpired_server.tokens.remote_keys import RemoteKeys
from unexpired_server.tokens.strict_json import read_object

ACCESS_DENIED = "ACCESS_DENIED"
BAD_ANSWER = "BAD_ANSWER"
PROVIDER_MISMATCH = "PROVIDER_MISMATCH"
PROVIDER_REFUSED = "PROVIDER_REFUSED"
PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
UNTRUSTED_TOKEN = "UNTRUSTED_TOKEN"  # noqa: S105 - a code

OUTAGES = frozenset({"server_error", "temporarily_unavailable"})
TOKEN_ERRORS = frozenset({
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
    "unsupported_grant_type", "invalid_scope",
})  # fmt: skip
"""RFC 6749, section 5.2; nothing else of a provider's response goes into the log."""

NAMES = ("preferred_username", "email")
"""The claims that a username is made of; where an ID token has none, they are asked for."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class SignInRefusedError(Exception):
    """A sign-in with the provider that has failed.

    Args:
        code: Why, as a short code of ours.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, kw_only=True, repr=False)
class SignInSecrets:
    """What only one sign-in has, and the provider must answer with.

    Attributes:
        state: It comes back with the code (RFC 6749, section 10.12).
        nonce: It comes back in the ID token (OpenID Connect Core 1.0, section 3.1.2.1).
        verifier: It goes to the provider with the code (RFC 7636, section 4.1).
    """

    state: str
    nonce: str
    verifier: str


class ProviderClient:
    """Sends people to the provider, and learns from it who they are.

    Args:
        issuer: The provider.
        settings: What the provider knows this server as.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(self, issuer: str, settings: Settings, now: Callable[[], float]) -> None:
        self.issuer = issuer
        self._client_id = settings.login_with_client_id
        secret = settings.login_with_client_secret
        self._secret = secret.get_secret_value() if secret else ""
        self._scope = settings.login_with_scope
        self._discovery = Discovery(issuer, now)
        self._keys = RemoteKeys(self._discovery, ALGORITHMS, now, None)
        self._id_tokens = IdTokenVerifier(self._keys, issuer, self._client_id, now)
        self._requests = ProviderRequests()

    async def authorization_url(self, secrets: SignInSecrets, redirect_uri: str) -> str:
        """Return where the provider signs people in (OpenID Connect Core 1.0, section 3.1.2.1).

        Raises:
            SignInRefusedError: The provider does not respond, or describes itself wrongly.
        """
        await self._ready()
        endpoint = self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scope,
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": s256(secrets.verifier),
            "code_challenge_method": "S256",
        }
        endpoint = endpoint.partition("#")[0]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def code_in(self, answer: Mapping[str, str]) -> str:
        """Return the code in an answer whose state is right.

        Raises:
            SignInRefusedError: The answer is another provider's (RFC 9207, section 2.4), or has no
                code.
        """
        await self._ready()
        sends_issuer = self._discovery.metadata.get(
            "authorization_response_iss_parameter_supported"
        )
        if answer.get("iss", None if sends_issuer is True else self.issuer) != self.issuer:
            raise SignInRefusedError(PROVIDER_MISMATCH)
        if "error" in answer:
            raise SignInRefusedError(_code_of(answer["error"]))
        if not answer.get("code"):
            raise SignInRefusedError(BAD_ANSWER)
        return answer["code"]

    async def claims(
        self, code: str, secrets: SignInSecrets, redirect_uri: str
    ) -> Mapping[str, Any]:
        """Redeem a code; return what the provider says of the person.

        Raises:
            SignInRefusedError: The provider does not accept the code, does not respond, or its ID
                token is not good for this sign-in.
        """
        tokens = await self._redeemed(code, secrets.verifier, redirect_uri)
        id_token, access_token = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str):
            raise SignInRefusedError(UNTRUSTED_TOKEN)
        try:
            claims = await self._id_tokens.verify(id_token, secrets.nonce)
        except Unavailable:
            raise SignInRefusedError(PROVIDER_UNAVAILABLE) from None
        except Challenge as exc:
            logger.warning("the provider's ID token is not valid here (%s)", type(exc).__name__)
            raise SignInRefusedError(UNTRUSTED_TOKEN) from None
        if any(isinstance(claims.get(name), str) for name in NAMES):
            return claims
        return await self._with_userinfo(claims, access_token)

    def close(self) -> None:
        """Stop the threads."""
        self._requests.close()

    async def _ready(self) -> None:
        try:
            await self._keys.ready()
        except Unavailable:
            raise SignInRefusedError(PROVIDER_UNAVAILABLE) from None

    def _endpoint(self, name: str) -> str:
        url = self._discovery.metadata.get(name)
        if not self._discovery.allows(url):
            logger.error("the provider's document names no https URL as its %s", name)
            raise SignInRefusedError(PROVIDER_MISMATCH)
        return url

    async def _redeemed(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """Return the provider's tokens (RFC 6749, section 4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        authorization = ""
        if not self._secret:
            form["client_id"] = self._client_id
        elif self._posts_secret():
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        else:
            authorization = basic_credentials(self._client_id, self._secret)
        endpoint = self._endpoint("token_endpoint")
        try:
            response = await self._requests.post(Form(endpoint, form, authorization))
        except ProviderDownError as exc:
            raise _outage(exc) from None
        if response.status != HTTPStatus.OK:
            _log_refusal(response)
            raise SignInRefusedError(PROVIDER_REFUSED)
        return _members(response)

    def _posts_secret(self) -> bool:
        """Return whether the secret goes into the body: only where the header is not accepted."""
        methods = self._discovery.metadata.get("token_endpoint_auth_methods_supported")
        if not isinstance(methods, list):
            return False
        return "client_secret_basic" not in methods and "client_secret_post" in methods

    async def _with_userinfo(
        self, claims: Mapping[str, Any], access_token: object
    ) -> Mapping[str, Any]:
        """Return claims with those of the userinfo endpoint (OpenID Connect Core 1.0, 5.3).

        Many providers leave a person's name out of the ID token where there is a code.
        """
        if "userinfo_endpoint" not in self._discovery.metadata:
            return claims
        if not isinstance(access_token, str) or not access_token.isascii():
            raise SignInRefusedError(BAD_ANSWER)
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            response = await self._requests.get(self._endpoint("userinfo_endpoint"), headers)
        except ProviderDownError as exc:
            raise _outage(exc) from None
        said = _members(response)
        # Else they could be another person's (section 5.3.2).
        if response.status != HTTPStatus.OK or said.get("sub") != claims["sub"]:
            raise SignInRefusedError(UNTRUSTED_TOKEN)
        return ReadOnlyDict({**said, **claims})


def s256(verifier: str) -> str:
    """Return the challenge of a verifier (RFC 7636, section 4.2)."""
    return base64url.encode(hashlib.sha256(verifier.encode()).digest())


def _code_of(error: str) -> str:
    """Return our code for an error of the provider's (RFC 6749, section 4.1.2.1)."""
    if error in OUTAGES:
        return PROVIDER_UNAVAILABLE
    return ACCESS_DENIED if error == "access_denied" else PROVIDER_REFUSED


def _members(response: FormResponse) -> dict[str, Any]:
    try:
        return read_object(response.content)
    except ValueError:
        raise SignInRefusedError(BAD_ANSWER) from None


def _outage(exc: ProviderDownError) -> SignInRefusedError:
    logger.warning("the provider cannot be reached (%s)", exc)
    return SignInRefusedError(PROVIDER_UNAVAILABLE)


def _log_refusal(response: FormResponse) -> None:
    try:
        error = _members(response).get("error")
    except SignInRefusedError:
        error = None
    named = error if isinstance(error, str) and error in TOKEN_ERRORS else response.status
    logger.warning("the provider did not accept a code (%s)", named)
