"""Sign in, refresh, sign out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import (
    BadCredentials,
    Challenge,
    InvalidProof,
    RateLimited,
    RefreshExpired,
    RefreshInvalid,
    RefreshReused,
    RefreshSuperseded,
    SecondStepRequired,
    SessionRevoked,
    Unavailable,
    UseDPoPNonce,
)
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.bodies import read_body
from unexpired_server.http.failure_response import DPOP_NONCE, NO_STORE
from unexpired_server.http.models import NonEmptyStr, RequestModel, ResponseModel
from unexpired_server.http.openapi import (
    BEARER_FAILURES,
    BODY_FAILURES,
    PROOF_FAILURES,
    Operation,
)
from unexpired_server.http.password import PasswordAuthenticator
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.http.rate_limits import RateLimits
from unexpired_server.http.responses import error_response, json_response, no_content
from unexpired_server.http.routes.account import UserOut, user_out
from unexpired_server.http.session_cookie import SessionCookie
from unexpired_server.ops.metrics import Metrics, counted
from unexpired_server.sessions.passwords import MAXIMUM_LENGTH
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.sessions.user import ID_LENGTH, User
from unexpired_server.sessions.usernames import canonical

DEVICE_LENGTH = 200


Attempt = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22,64}$")]


class Credentials(RequestModel):
    """What a person signs in with."""

    username: NonEmptyStr = Field(max_length=64)
    password: NonEmptyStr = Field(max_length=MAXIMUM_LENGTH, repr=False)
    cookie: bool = Field(
        default=False,
        description="Whether to set the refresh token as a cookie, and leave it out of the body.",
    )


class OwnCredentials(Credentials):
    """What a person signs in with where the application has its own users: it may want more."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    username: NonEmptyStr = Field(max_length=ID_LENGTH)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show nothing of the further fields, which may be secrets."""
        yield "username", self.username


class Refresh(RequestModel):
    """A refresh token, and the id of this refresh: at least 128 bits, kept until it is done.

    The token is left out where a cookie has it.
    """

    refresh_token: str | None = Field(default=None, repr=False)
    attempt: Attempt | None = None


class SignOut(RequestModel):
    """The refresh token of the session that ends; whatever else is there ends nothing."""

    refresh_token: Any = Field(default=None, repr=False)


class TokensOut(ResponseModel):
    """A session's tokens; lives are in seconds.

    Without refresh there is no refresh token, and it is left out where it is set as a cookie. Those
    of a bound session say so, with a nonce for the next proof of its key.
    """

    access_token: str
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int | None = None
    bound: bool = False
    nonce: str | None = None


class SignedInOut(TokensOut):
    """A new session's tokens, and whose it is."""

    user: UserOut


REFUSALS = (RefreshExpired, RefreshInvalid, RefreshReused, RefreshSuperseded, SessionRevoked)
KEY_REFUSALS = (InvalidProof, RefreshInvalid)
"""How a bound session's refresh is refused without its key."""

OPERATIONS = (
    Operation(
        "post", "/api/login", "Sign in", SignedInOut,
        (
            *BODY_FAILURES, BadCredentials, *PROOF_FAILURES, SecondStepRequired, RateLimited,
            Unavailable,
        ),
        request=Credentials,
    ),
    Operation(
        "post", "/api/refresh", "Renew a session's tokens", TokensOut,
        (*BODY_FAILURES, *REFUSALS, *PROOF_FAILURES, RateLimited, Unavailable), request=Refresh,
    ),
    Operation(
        "post", "/api/logout", "Sign out; good tokens and bad ones are answered alike", None,
        (*BODY_FAILURES, Unavailable), status=204, request=SignOut,
    ),
    Operation(
        "post", "/api/logout-all", "Sign out everywhere", None,
        (*BEARER_FAILURES, Unavailable), status=204,
    ),
)  # fmt: skip


class AuthenticationRoutes:
    """The routes that issue tokens and end sessions.

    Args:
        sessions: Opens, refreshes and ends sessions.
        passwords: Authenticates users by their password.
        bearer: Authenticates requests by their access token.
        limits: The limits of sign-ins and refreshes.
        proofs: Checks the proofs of sessions' keys.
        metrics: Counts the outcomes.
        cookie: The cookie that may have the refresh token.
        has_own_users: Whether the users are in an application's own table.
    """

    def __init__(  # noqa: PLR0913 - a sign-in takes all of these
        self,
        sessions: Sessions,
        passwords: PasswordAuthenticator,
        bearer: BearerAuthenticator,
        limits: RateLimits,
        metrics: Metrics,
        *,
        cookie: SessionCookie,
        proofs: ProofChecker,
        has_own_users: bool = False,
    ) -> None:
        self._sessions = sessions
        self._passwords = passwords
        self._bearer = bearer
        self._limits = limits
        self._proofs = proofs
        self._metrics = metrics
        self._cookie = cookie
        self._credentials = OwnCredentials if has_own_users else Credentials

    def routes(self) -> list[Route]:
        """Return the routes; without refresh tokens there is no /api/refresh."""
        routes = [
            Route("/api/login", self.login, methods=["POST"]),
            Route("/api/logout", self.logout, methods=["POST"]),
            Route("/api/logout-all", self.logout_all, methods=["POST"]),
        ]
        if self._sessions.can_refresh:
            routes.append(Route("/api/refresh", self.refresh, methods=["POST"]))
        return routes

    async def login(self, request: Request) -> Response:
        """Open a session for a username and a password."""
        body, address = await read_body(request, self._credentials), address_of(request)
        self._cookie.check_sign_in(request, is_wanted=body.cookie)
        fields, device = body.model_extra or {}, device_of(request)
        with counted(self._metrics.sign_ins):
            # First, so that a password is looked at once, however often a proof is made again.
            jkt = self._proofs.sign_in_key(request)
            user = await self._passwords.authenticate(body.username, body.password, address, fields)
            try:
                tokens = await self._sessions.open(
                    user, device, address, username=body.username, jkt=jkt
                )
            except BadCredentials:  # Limited like a wrong password, so that nobody can tell.
                await self._passwords.refuse(body.username, user.id, address)
                raise
        self._limits.sign_in.count_success(canonical(body.username))
        await self._cookie.end_replaced(request, self._sessions)

        def respond(shown: SessionTokens) -> Response:
            return tokens_response(signed_in(user, shown, self._proofs))

        return self._cookie.answer(request, tokens, respond, in_cookie=body.cookie)

    async def refresh(self, request: Request) -> Response:
        """Renew a session's tokens."""
        body = await read_body(request, Refresh)
        if refused := self._cookie.refuse_doubled(request, body.refresh_token):
            return refused
        token, in_cookie = self._cookie.token_of(request, body.refresh_token)
        with counted(self._metrics.refreshes):
            tokens = await self._refreshed(token, body.attempt, request)
        return self._cookie.answer(request, tokens, self._tokens_out, in_cookie=in_cookie)

    async def logout(self, request: Request) -> Response:
        """End the session of a refresh token, in the body or a cookie, or of the access token.

        The response is always the same: signing out twice is no mistake, and must not reveal
        whether a token was valid.
        """
        body = await read_body(request, SignOut)
        if refused := self._cookie.refuse_doubled(request, body.refresh_token):
            return refused
        try:
            for token in self._cookie.tokens_of(request) or [body.refresh_token]:
                if session_id := await self._session_id(request, token):
                    await self._sessions.sign_out(session_id, address_of(request))
        except Unavailable as failure:
            return self._cookie.clear(request, error_response(failure))
        return self._cookie.clear(request, no_content())

    async def logout_all(self, request: Request) -> Response:
        """End every session of the current user."""
        user_id = (await self._bearer.authenticate(request)).user_id
        await self._sessions.revoke_all(user_id, address_of(request))
        return no_content()

    def _tokens_out(self, tokens: SessionTokens) -> Response:
        return tokens_response(TokensOut(**_members(tokens, self._proofs)))

    async def _refreshed(self, token: str, attempt: str | None, request: Request) -> SessionTokens:
        address, claims = address_of(request), self._sessions.read_refresh_token(token)
        if claims is None:
            await self._limits.refresh.count_forged(address)
            raise RefreshInvalid
        await self._limits.refresh.check(claims.session_id)
        jkt = self._proofs.refresh_key(request)
        has_key = True
        try:
            return await self._sessions.refresh(claims, address, attempt, jkt=jkt)
        except KEY_REFUSALS:
            has_key = False
            await self._refuse_key(claims.session_id, address, has_proof=jkt is not None)
            raise
        finally:
            if has_key:  # A thief without it must not use up the limit of the session.
                self._limits.refresh.count(claims.session_id)

    async def _refuse_key(self, session_id: str, address: str | None, *, has_proof: bool) -> None:
        """Count a refresh without the session's key, and record it unless there are too many."""
        await self._limits.refresh.count_forged(address)
        await self._sessions.note_refused_proof(session_id, address, has_proof=has_proof)

    async def _session_id(self, request: Request, refresh_token: object) -> str | None:
        if self._sessions.can_refresh and isinstance(refresh_token, str):
            claims = self._sessions.read_refresh_token(refresh_token)
            return claims.session_id if claims else None
        try:
            return (await self._bearer.authenticate(request)).session_id
        except UseDPoPNonce:  # Else a client whose nonce is old would sign out in vain.
            raise
        except Challenge:
            return None


def device_of(request: Request) -> str:
    """Return the client's name for itself, as a session keeps it."""
    # Servers refuse a NUL, which PostgreSQL cannot store; a test's client may send one.
    return request.headers.get("user-agent", "").replace("\x00", "")[:DEVICE_LENGTH]


def signed_in(user: User, tokens: SessionTokens, proofs: ProofChecker) -> SignedInOut:
    """Return the body of the response to a sign-in."""
    whose = user_out(user.id, user.username, user.scopes)
    return SignedInOut(**_members(tokens, proofs), user=whose)


def tokens_response(out: TokensOut, status: int = 200) -> Response:
    """Return the response with a session's tokens, and with the nonce in its header."""
    headers = {**NO_STORE, DPOP_NONCE: out.nonce} if out.nonce else NO_STORE
    return json_response(out, status, headers)


def _members(tokens: SessionTokens, proofs: ProofChecker) -> dict[str, Any]:
    return {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "refresh_expires_in": tokens.refresh_expires_in,
        "bound": tokens.is_bound,
        # Also in the body: another application's CORS may not let a page read the header.
        "nonce": proofs.nonce() if tokens.is_bound else None,
    }
