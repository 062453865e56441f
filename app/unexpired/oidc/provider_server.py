"""A provider as the server that issues the tokens of one client."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from unexpired.dialect import Dialect
from unexpired.effects import Send
from unexpired.errors import SignInFailed, Unreachable
from unexpired.hints import names_hint
from unexpired.messages import Headers, Request, Response
from unexpired.oidc.authorization import PendingSignIn
from unexpired.oidc.id_token import checked_claims, shown_claims
from unexpired.oidc.metadata import Metadata, discovery_url_of, metadata_of, refuse
from unexpired.origins import origin_of
from unexpired.token_response import Tokens, error_code, is_outage, scopes_in, with_scopes
from unexpired.token_server import PathOption, TokenServer

if TYPE_CHECKING:
    from unexpired.oidc.provider import Provider
    from unexpired.ports import Clock

_log = logging.getLogger("unexpired")

DISCOVERY_TIMEOUT = 10.0  # s

# RFC 6749, 5.2; OpenID Connect Core 1.0, 3.1.2.6: the person has to do something.
REFUSED = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})

DECIDED = frozenset({"access_denied", "expired_token"})
"""What a person has decided at another device, or not in time (RFC 8628, section 3.5)."""

ALGORITHMS = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
    }
)
"""What may have signed an ID token that is adopted before the provider was asked."""

NEVER_RENEWED = (
    "The provider gave no refresh token: when the access token expires, the person is sent there"
    " again. Many give one for the scope offline_access only if the application is registered for"
    ' refresh tokens, some only with prompt="consent" (OpenID Connect Core 1.0, section 11).'
)


class ProviderServer:
    """The endpoints of a provider, found once for the life of a client.

    Args:
        provider: The provider, as the application has described it.
        clock: The device's clock, by which an ID token's times are judged.
    """

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self.provider = provider
        self._clock = clock
        self._metadata: Metadata | None = provider.known_metadata

    @cached_property
    def dialect(self) -> Dialect:
        """OAuth's field names (RFC 6749, sections 5 and 6) and error codes."""
        return Dialect(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            expires_in="expires_in",
            user="",
            token_type="token_type",  # noqa: S106 - a name
            id_token="id_token",  # noqa: S106 - a name
            error_code="error",
            message="",  # `error_description` is for developers.
            logout_field="token",
            encoding="form",
            refresh_fields={"grant_type": "refresh_token", **self._client, **self._resource},
            logout_fields={"token_type_hint": "refresh_token", **self._client},
            expired=frozenset(),
            ended=frozenset(),
            refused=REFUSED,
            second_step=frozenset(),
        )

    @property
    def home(self) -> str | None:
        """The origin of where it issues tokens; None before its endpoints were found."""
        return origin_of(self._metadata.token_endpoint) if self._metadata else None

    @property
    def _client(self) -> dict[str, str]:
        """Who asks (RFC 6749, section 2.3.1); a program's secret is none (RFC 8252, 8.5)."""
        secret = self.provider.client_secret
        return {"client_id": self.provider.client_id} | (
            {"client_secret": secret} if secret else {}
        )

    @property
    def _resource(self) -> dict[str, str]:
        resource = self.provider.resource  # RFC 8707, section 2.2.
        return {"resource": resource} if resource else {}

    def discover(self) -> Generator[Send, Response, Metadata]:
        """Return the endpoints (OpenID Connect Discovery 1.0, section 4), which are then known.

        Raises:
            SignInFailed: If they are another issuer's, or not safe to use.
            Unreachable: If there was no usable response.
        """
        if self._metadata is None:
            response = yield Send(self.discovery_request, DISCOVERY_TIMEOUT)
            if not response.is_success or not response.fields:
                raise _no_discovery(response)
            self._metadata = metadata_of(response.fields, self.provider.issuer)
        return self._metadata

    @property
    def discovery_request(self) -> Request:
        """The request for what the provider says of itself."""
        url = self.provider.discovery_url or discovery_url_of(self.provider.issuer)
        return Request("GET", url, Headers({"accept": "application/json"}), auth=False)

    @property
    def metadata(self) -> Metadata:
        """The endpoints, after ``discover``.

        Raises:
            RuntimeError: If they are not known yet.
        """
        if self._metadata is None:
            raise RuntimeError("the provider's endpoints are not known yet")
        return self._metadata

    def _discover_quietly(self) -> Generator[Send, Response, Metadata]:
        """Return the endpoints within a session, which no wrong document may end."""
        try:
            return (yield from self.discover())
        except SignInFailed as error:
            raise Unreachable from error

    # -- Requests ------------------------------------------------------------------------------

    def code_request(self, code: str, pending: PendingSignIn) -> Request:
        """Return the request that exchanges a code for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5)."""
        return self.token_request(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": pending.redirect_uri,
                "code_verifier": pending.verifier,
            }
        )

    def token_request(self, fields: dict[str, str]) -> Request:
        """Return a request to the token endpoint.

        Args:
            fields: The grant; who asks, and for which resource, is added.
        """
        return self.form(self.metadata.token_endpoint, {**fields, **self._resource})

    def device_request(self) -> Request:
        """Return the request that begins a device grant (RFC 8628, section 3.1).

        Raises:
            SignInFailed: With ``PROVIDER_MISMATCH``, if the provider has no such grant.
        """
        url = self.metadata.device_authorization_endpoint
        if not url:
            refuse("device_authorization_endpoint", "is missing: it has no device grant (RFC 8628)")
        provider = self.provider
        wanted = {
            **provider.parameters,
            "scope": provider.scope,
            "audience": provider.audience,
            "resource": provider.resource,
        }
        given = {name: value for name, value in wanted.items() if value}
        return replace(self.form(url, given), auth=False)

    def form(self, url: str, fields: dict[str, str]) -> Request:
        """Return a request of the application's to one of the endpoints."""
        return self.dialect.request(url, {**fields, **self._client})

    def refresh_request(
        self,
        tokens: Tokens,
        attempt: str | None,
    ) -> Generator[Send, Response, Request]:
        """Return the request that refreshes the tokens; see ``TokenServer``."""
        metadata = yield from self._discover_quietly()
        return self.dialect.refresh_request(metadata.token_endpoint, tokens.refresh_token, attempt)

    def sign_out_request(self, tokens: Tokens) -> Generator[Send, Response, Request | None]:
        """Return the request that revokes the tokens (RFC 7009, section 2.1); None if it cannot."""
        url = (yield from self._discover_quietly()).revocation_endpoint
        if not url:
            return None
        if tokens.refresh_token is not None:
            return self.dialect.sign_out_request(url, tokens.refresh_token)
        hint = {"token": tokens.access_token, "token_type_hint": "access_token"}
        return replace(self.form(url, hint), keepalive=True)

    # -- Who it is -----------------------------------------------------------------------------

    def identified(self, tokens: Tokens, known: Tokens) -> Tokens:
        """Return the tokens of a refresh, which may have a new ID token of the same user.

        OpenID Connect Core 1.0, section 12.2.
        """
        if tokens.id_token is None:
            return tokens
        subject = (known.user or {}).get("sub")
        return self._with_user(tokens, tokens.id_token, known_subject=subject)

    def identified_first(self, tokens: Tokens, pending: PendingSignIn | None) -> Tokens:
        """Return the tokens of a sign-in with the user that the ID token names.

        Args:
            tokens: The tokens in the response.
            pending: The sign-in that they answer; None for the device grant, which has no nonce,
                and in which not every provider gives an ID token: RFC 8628 knows none.

        Raises:
            SignInFailed: If the ID token is missing, though it was asked for, or not to be trusted.
        """
        if tokens.refresh_token is None and "offline_access" in self.provider.scope.split():
            _log.warning("%s", NEVER_RENEWED)
        if tokens.id_token is not None:
            nonce, max_age = (pending.nonce, pending.max_age) if pending else (None, None)
            return self._with_user(tokens, tokens.id_token, nonce=nonce, max_age=max_age)
        if pending is not None and "openid" in self.provider.scope.split():
            error = SignInFailed("UNTRUSTED_TOKEN")
            error.add_note("The response has no id_token, though the scope openid was asked for.")
            raise error
        return tokens

    def _with_user(
        self,
        tokens: Tokens,
        id_token: str,
        *,
        nonce: str | None = None,
        max_age: int | None = None,
        known_subject: str | None = None,
    ) -> Tokens:
        claims = checked_claims(
            id_token,
            issuer=self.provider.issuer,
            client_id=self.provider.client_id,
            nonce=nonce,
            algorithms=self._metadata.algorithms if self._metadata else ALGORITHMS,
            now=self._clock.now(),
            max_age=max_age,
            known_subject=known_subject,
        )
        user = with_scopes(shown_claims(claims), scopes_in(tokens.access_token))
        return replace(tokens, user=user)

    # -- What developers should know -----------------------------------------------------------

    def hint(self, option: PathOption, request: Request, response: Response) -> str:  # noqa: ARG002
        """Return what a response without tokens says about a mistake in the settings."""
        given, status = self.dialect.named(response).code, response.status_code
        code = error_code(given) if given else "without a code"
        if response.is_success:
            return names_hint(self.dialect, response.fields)
        if is_outage(status) or code in REFUSED | DECIDED:
            return ""
        return (
            f"The provider's token endpoint answered {status} ({code}). Is the"
            " application registered there as a public client, for this grant and this origin?"
        )


def _no_discovery(response: Response) -> Unreachable:
    error = Unreachable()
    error.add_note(
        f"The provider's discovery document could not be had ({response.status_code})."
        " Is Provider.issuer its exact address?"
    )
    return error


if TYPE_CHECKING:
    _: type[TokenServer] = ProviderServer
