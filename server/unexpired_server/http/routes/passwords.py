"""Change a password, and replace a forgotten one."""

from __future__ import annotations

from functools import partial

from pydantic import Field
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import (
    BadCredentials,
    RateLimited,
    ResetInvalid,
    SessionRevoked,
    Unavailable,
    WeakPassword,
)
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.bodies import read_body
from unexpired_server.http.models import NonEmptyStr, RequestModel
from unexpired_server.http.openapi import BEARER_FAILURES, BODY_FAILURES, Operation
from unexpired_server.http.password import PasswordAuthenticator
from unexpired_server.http.rate_limits import ResetLimits
from unexpired_server.http.responses import no_content
from unexpired_server.sessions.deliveries import Deliveries, Delivery
from unexpired_server.sessions.passwords import (
    MAXIMUM_LENGTH,
    InvalidPasswordError,
    Passwords,
    check_new_password,
)
from unexpired_server.sessions.reset_tokens import LIFETIME, ResetTokens
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.usernames import canonical
from unexpired_server.sessions.users import Account, Users

WRONG_PASSWORD = "The current password is not correct."  # noqa: S105 - a sentence


class PasswordChange(RequestModel):
    """The present password, and the one that replaces it."""

    current_password: NonEmptyStr = Field(max_length=MAXIMUM_LENGTH, repr=False)
    new_password: str = Field(repr=False)


class ForgottenPassword(RequestModel):
    """Whose password is forgotten."""

    username: NonEmptyStr = Field(max_length=64)


class PasswordReset(RequestModel):
    """The token of a link that was delivered, and the new password."""

    token: str = Field(repr=False)
    new_password: str = Field(repr=False)


CHANGE = Operation(
    "post", "/api/password", "Change my password, and sign out elsewhere", None,
    (*BODY_FAILURES, WeakPassword, BadCredentials, *BEARER_FAILURES, RateLimited, Unavailable),
    status=204, request=PasswordChange,
)  # fmt: skip

RESET_OPERATIONS = (
    Operation(
        "post", "/api/password/forgot",
        "Send a link for a forgotten password; unknown names are answered alike", None,
        (*BODY_FAILURES, RateLimited, Unavailable), status=204, request=ForgottenPassword,
    ),
    Operation(
        "post", "/api/password/reset", "Replace a forgotten password, and sign out everywhere",
        None, (*BODY_FAILURES, WeakPassword, ResetInvalid, RateLimited, Unavailable), status=204,
        request=PasswordReset,
    ),
)  # fmt: skip

OPERATIONS = (CHANGE, *RESET_OPERATIONS)


class PasswordRoutes:
    """The route by which users change their own password.

    Args:
        users: Finds their name.
        sessions: Replaces the password, and ends the other sessions.
        authenticator: Verifies the present password, within the limits of sign-ins.
        passwords: Hashes the new one.
        bearer: Authenticates requests.
    """

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        authenticator: PasswordAuthenticator,
        passwords: Passwords,
        bearer: BearerAuthenticator,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._authenticator = authenticator
        self._passwords = passwords
        self._bearer = bearer

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/api/password", self.change, methods=["POST"])]

    async def change(self, request: Request) -> Response:
        """Replace the password; this session goes on, and the user's others end."""
        claims = await self._bearer.authenticate(request)
        body, address = await read_body(request, PasswordChange), address_of(request)
        _check(body.new_password)
        user = await self._verified(claims.user_id, body.current_password, address)
        password_hash = await self._passwords.hash_new(body.new_password)
        await self._sessions.change_password(user, password_hash, claims.session_id, address)
        return no_content()

    async def _verified(self, user_id: str, password: str, address: str | None) -> Account:
        username = await self._users.username_of(user_id)
        if username is None:
            raise SessionRevoked
        try:
            user = await self._authenticator.authenticate(username, password, address)
        except BadCredentials:
            raise BadCredentials(WRONG_PASSWORD) from None
        if not isinstance(user, Account):
            raise SessionRevoked
        return user


class ResetRoutes:
    """The routes by which users replace a forgotten password.

    Args:
        users: Finds the user.
        sessions: Replaces the password, and ends all sessions.
        passwords: Hashes the new one.
        tokens: Writes and reads the tokens.
        deliveries: Delivers them.
        limits: The limits of forgotten passwords.
    """

    def __init__(  # noqa: PLR0913 - the service passes each of them once
        self,
        users: Users,
        sessions: Sessions,
        *,
        passwords: Passwords,
        tokens: ResetTokens,
        deliveries: Deliveries,
        limits: ResetLimits,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._tokens = tokens
        self._deliveries = deliveries
        self._limits = limits

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/password/forgot", self.forgot, methods=["POST"]),
            Route("/api/password/reset", self.reset, methods=["POST"]),
        ]

    async def forgot(self, request: Request) -> Response:
        """Deliver a token to the user, if there is one; the response never says whether.

        Known and unknown names cost the same until the response: one count of each limit, and
        one query. The token is written, and delivered, after it was sent.
        """
        body, address = await read_body(request, ForgottenPassword), address_of(request)
        name = canonical(body.username)
        may_have_one_more = await self._limits.count_request(name, address)
        user = await self._users.find_enabled(body.username)
        response = no_content()
        # Who signs in at a provider has no password that could be forgotten.
        if user is not None and user.password_hash and may_have_one_more:
            # Only begun there: the next request on this connection need not wait for the delivery.
            write = partial(self._delivery, user)
            response.background = BackgroundTask(self._deliveries.start, write)
        return response

    async def reset(self, request: Request) -> Response:
        """Replace the password of a token's user, once; all their sessions end."""
        body, address = await read_body(request, PasswordReset), address_of(request)
        user = await self._user_of(body.token)
        if user is None:
            await self._limits.count_forged(address)
            raise ResetInvalid
        _check(body.new_password)
        password_hash = await self._passwords.hash_new(body.new_password)
        await self._sessions.reset_password(user, password_hash, address)
        return no_content()

    def _delivery(self, user: Account) -> Delivery:
        return Delivery(
            user.without_password(), self._tokens.write(user.id, user.password_hash), LIFETIME
        )

    async def _user_of(self, token: str) -> Account | None:
        claims = self._tokens.read(token)
        if claims is None:
            return None
        user = await self._users.enabled(claims.user_id)
        return user if user is not None and claims.is_for(user.password_hash) else None


def _check(password: str) -> None:
    try:
        check_new_password(password)
    except InvalidPasswordError as exc:
        raise WeakPassword(str(exc)) from None
