"""What a client does to sign people in at its provider, in steps that its driver performs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from unexpired.effects import Effect, Send, Sleep
from unexpired.errors import BadReply, RateLimited, SignInFailed, Unreachable
from unexpired.messages import Headers, Request, Response
from unexpired.oidc.authorization import (
    MAX_AGE,
    Asked,
    PendingSignIn,
    authorization_url,
    code_in,
    new_pending,
    state_of,
    with_query,
)
from unexpired.oidc.device import (
    UNDECIDED,
    Device,
    Polling,
    read_device_response,
)
from unexpired.oidc.metadata import Metadata
from unexpired.oidc.provider_server import ProviderServer
from unexpired.policy import Policy
from unexpired.ports import PendingStore
from unexpired.session_record import Record
from unexpired.token_response import Tokens

_log = logging.getLogger("unexpired")

FOR_AN_API = (
    "userinfo: many providers refuse a token there that is for an API (resource, audience)."
    " `user` has what the ID token says."
)


class ProviderFlows:
    """The steps of one client.

    Args:
        policy: The client's rules, whose server is the provider.
        server: The provider.
        pending: Keeps what must be remembered until the person comes back.
    """

    def __init__(self, policy: Policy, server: ProviderServer, pending: PendingStore) -> None:
        self._policy = policy
        self._server = server
        self._provider = server.provider
        self._pending = pending

    # -- Leaving -------------------------------------------------------------------------------

    def redirect_uri(self, *, is_popup: bool = False) -> str:
        """Return where the provider sends the browser back to; in a page as an absolute URL."""
        provider = self._provider
        uri = (is_popup and provider.popup_redirect_uri) or provider.redirect_uri
        return urljoin(self._policy.options.page_url, uri)

    def discover(self) -> Generator[Send, Response, Metadata]:
        """Find the provider's endpoints; see ``ProviderServer.discover``."""
        try:
            return (yield from self._server.discover())
        except Unreachable as error:  # For ``diagnose()``: the provider may not allow this origin.
            request, now = self._server.discovery_request, self._policy.clock.now()
            self._policy.log.note_no_response(request, error, now)
            raise

    def begin(  # noqa: PLR0913 - each is one fact of the sign-in
        self,
        asked: Asked,
        *,
        redirect_uri: str,
        back: str = "",
        draft: str = "",
        silent: bool = False,
        person: str = "",
    ) -> str:
        """Return the address that begins a sign-in, whose facts are then kept.

        Args:
            asked: What the application asks for.
            redirect_uri: Where the provider sends the browser back to.
            back: Where the person is.
            draft: What they have begun and not saved.
            silent: Whether the provider must show nothing, and fail if it would have to.
            person: The ``sub`` of whom the draft is.

        Raises:
            SignInFailed: If nothing can be kept.
        """
        now = self._policy.clock.now()
        pending = new_pending(
            self._provider,
            asked,
            redirect_uri=redirect_uri,
            now=now,
            back=back,
            draft=draft,
            silent=silent,
            person=person,
        )
        self._pending.sweep(lambda text: _is_old(text, now))
        self._keep(pending)
        return authorization_url(self._server.metadata, self._provider, pending, asked)

    def _keep(self, pending: PendingSignIn) -> None:
        """Keep what is needed to come back; without the draft where there is no room for it."""
        try:
            self._pending.put(pending.state, pending.dumps())
        except SignInFailed:
            if not pending.draft:
                raise
            self._pending.put(pending.state, replace(pending, draft="").dumps())
            _log.warning("the draft is too long to be kept while the person signs in")

    # -- Coming back ---------------------------------------------------------------------------

    def take(self, url: str) -> PendingSignIn:
        """Return the sign-in that an answer belongs to, and forget it: an answer counts once.

        Raises:
            SignInFailed: If there is none: it was answered already, is another tab's, or forged.
        """
        text = self._pending.take(state_of(url) or "")
        try:
            return PendingSignIn.loads(text or "")
        except ValueError:
            raise SignInFailed("UNKNOWN_SIGN_IN") from None

    def redeem(
        self, url: str, pending: PendingSignIn, session: str, key: str | None
    ) -> Generator[Effect, Any, None]:
        """Begin a session with the code in an answer.

        Args:
            url: The answer.
            pending: The sign-in that it belongs to.
            session: A new name for the session on this device.
            key: A new key to bind it to.

        Raises:
            SignInFailed: If the provider refused, or is not to be trusted.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If there are no tokens.
        """
        try:
            metadata = yield from self.discover()
            code = code_in(url, pending, self._provider, metadata, self._policy.clock.now())
            yield from self._policy.redeem(
                session,
                self._server.code_request(code, pending),
                lambda tokens: self._server.identified_first(tokens, pending),
                key,
            )
        finally:
            self._policy.session.drop_key(key)

    # -- Without a browser ---------------------------------------------------------------------

    def begin_at_device(self, found: Callable[[Device], object]) -> Generator[Send, Response, None]:
        """Ask for what the person needs to sign in on another device (RFC 8628, section 3.1).

        Args:
            found: Is called with it.

        Raises:
            SignInFailed: If the provider refuses, or has no such grant.
            Unreachable: If it cannot be reached.
        """
        yield from self.discover()
        request = self._server.device_request()
        response = yield Send(request, self._policy.options.exchange_timeout)
        found(read_device_response(response, self._policy.clock.monotonic()))

    def sign_in_by_device(
        self, device: Device, session: str, key: str | None
    ) -> Generator[Effect, Any, None]:
        """Begin a session once the person has confirmed it on another device.

        Args:
            device: What they were shown.
            session: A new name for the session on this device.
            key: A new key to bind it to.

        Raises:
            SignInFailed: If the person refused or took too long.
        """
        try:
            yield from self._poll(device.code, device.polling, session, key)
        finally:
            self._policy.session.drop_key(key)

    def _poll(
        self, code: str, polling: Polling, session: str, key: str | None
    ) -> Generator[Effect, Any, None]:
        """Ask for the tokens until the person has decided (RFC 8628, sections 3.4 and 3.5)."""
        request = self._server.token_request(
            {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": code}
        )
        wait = polling.interval
        while True:
            yield Sleep(wait, is_wakeable=False)
            try:
                yield from self._policy.redeem(
                    session,
                    request,
                    lambda tokens: self._server.identified_first(tokens, None),
                    key,
                    UNDECIDED,
                )
            except SignInFailed as error:
                if error.code not in UNDECIDED:
                    raise
                wait = polling.after(error.code, self._policy.clock.monotonic())
            except (RateLimited, Unreachable) as error:
                now, asked_for = self._policy.clock.monotonic(), error.retry_after or 0.0
                wait = polling.after(None, now, asked_for)
            else:
                return

    # -- Afterwards ----------------------------------------------------------------------------

    def userinfo(
        self, found: Callable[[Mapping[str, Any]], object]
    ) -> Generator[Effect, Any, None]:
        """Ask the provider for what it knows of the user (OpenID Connect Core 1.0, section 5.3).

        Args:
            found: Is called with the claims.

        Raises:
            BadReply: If it sends no claims, or those of another user (5.3.2).
            SignInFailed: If it has no such endpoint.
        """
        url = (yield from self.discover()).userinfo_endpoint
        if not url:
            raise BadReply("The provider has no userinfo endpoint.")
        request = Request("GET", url, Headers({"accept": "application/json"}))
        response: Response = yield from self._policy.call(request, is_trusted=True)
        self._check_userinfo(response)
        known = (self._policy.session.require().tokens.user or {}).get("sub")
        if known is not None and response.fields.get("sub") != known:
            error = BadReply()
            error.add_note("userinfo: its sub is not that of the ID token")
            raise error
        found(response.fields)

    def _check_userinfo(self, response: Response) -> None:
        try:
            response.raise_for_status()
        except BadReply as error:
            if self._provider.resource or self._provider.audience:
                error.add_note(FOR_AN_API)
            raise

    def sign_out_url(self, record: Record | None) -> Generator[Send, Response, str]:
        """Return the address that ends the session at the provider; empty if there is none.

        OpenID Connect RP-Initiated Logout 1.0, section 2. Nothing is asked for if the application
        wants to stay.
        """
        provider = self._provider
        if provider.post_logout_redirect_uri is None:
            return ""
        try:
            url = (yield from self.discover()).end_session_endpoint
            fields = self._sign_out_fields(record)
            return with_query(url, fields, "end_session_endpoint") if url else ""
        except (SignInFailed, Unreachable):
            return ""

    def _sign_out_fields(self, record: Record | None) -> dict[str, str]:
        provider, page_url = self._provider, self._policy.options.page_url
        back = urljoin(page_url, provider.post_logout_redirect_uri or provider.redirect_uri)
        if provider.logout != "oidc":  # Cognito and Auth0 have names of their own.
            return {"client_id": provider.client_id, provider.logout: back}
        tokens: Tokens | None = record.tokens if record else None
        hint = {"id_token_hint": tokens.id_token} if tokens and tokens.id_token else {}
        return {"client_id": provider.client_id, "post_logout_redirect_uri": back, **hint}


def _is_old(text: str, now: float) -> bool:
    """Return whether a sign-in that was kept is too old, or cannot be read."""
    try:
        return now - PendingSignIn.loads(text).at >= MAX_AGE
    except ValueError:
        return True
