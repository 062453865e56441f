"""Sign in, refresh, sign out."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import (
    BadCredentials,
    Challenge,
    RefreshExpired,
    RefreshInvalid,
    RefreshReused,
    SessionRevoked,
)
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.bodies import Credentials, Refresh, SignOut, read
from unexpired_server.http.rate_limits import RateLimits, account_key, address_key, session_key
from unexpired_server.http.responses import json_response, no_content
from unexpired_server.ops.metrics import Metrics, counted
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.rules import (
    Decision,
    RefreshTokenClaims,
    RefreshTokens,
    Session,
    SessionPolicy,
    seconds_left,
)
from unexpired_server.sessions.store import RefreshOutcome, Store
from unexpired_server.sessions.users import User, Users, canonical
from unexpired_server.tokens.access_tokens import AccessTokens

DEVICE_LENGTH = 200

REFUSALS: dict[Decision, type[Challenge]] = {
    Decision.REUSE: RefreshReused,
    Decision.EXPIRED: RefreshExpired,
    Decision.REVOKED: SessionRevoked,
    Decision.UNKNOWN: RefreshInvalid,
}


class Authentication:
    """The routes that give out tokens and take sessions back.

    Args:
        users: Who may sign in.
        passwords: Checks what they sign in with.
        rates: How often they may try.
        metrics: Where outcomes are counted.
        store: Keeps their sessions.
        policy: How long sessions last.
        revocations: Hears first of a session that is over.
        access: Issues access tokens.
        refresh_tokens: Writes and reads refresh tokens; None when there are none.
        bearer: Authenticates requests.
        now: The clock, in Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each of them once
        self,
        *,
        users: Users,
        passwords: Passwords,
        rates: RateLimits,
        metrics: Metrics,
        store: Store,
        policy: SessionPolicy,
        revocations: Revocations,
        access: AccessTokens,
        refresh_tokens: RefreshTokens | None,
        bearer: BearerAuthenticator,
        now: Callable[[], float],
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._rates = rates
        self._metrics = metrics
        self._store = store
        self._policy = policy
        self._revocations = revocations
        self._access = access
        self._refresh_tokens = refresh_tokens
        self._bearer = bearer
        self._now = now

    def routes(self) -> list[Route]:
        """The routes; without refresh tokens there is nothing at /api/refresh."""
        routes = [
            Route("/api/login", self.login, methods=["POST"]),
            Route("/api/logout", self.logout, methods=["POST"]),
            Route("/api/logout-all", self.logout_all, methods=["POST"]),
        ]
        if self._refresh_tokens:
            routes.append(Route("/api/refresh", self.refresh, methods=["POST"]))
        return routes

    async def login(self, request: Request) -> Response:
        """Open a session for a username and a password."""
        credentials = await read(request, Credentials)
        device = request.headers.get("user-agent", "")[:DEVICE_LENGTH]
        with counted(self._metrics.sign_ins):
            user, session = await self._opened(credentials, device, address_of(request))
        shown = {"id": user.id, "username": user.username}
        return json_response({**self._tokens(session, self._now()), "user": shown})

    async def refresh(self, request: Request) -> Response:
        """Renew a session's tokens."""
        body = await read(request, Refresh)
        with counted(self._metrics.refreshes):
            return await self._refresh(body, address_of(request))

    async def _refresh(self, body: Refresh, address: str | None) -> Response:
        presented = self._refresh_tokens and self._refresh_tokens.read(body.refresh_token)
        keys = [address_key(address)]
        if presented:
            keys.append(session_key(presented.session_id))
        await self._rates.refresh.check(*keys)
        if not presented:
            await self._rates.refresh.count(*keys)
            raise RefreshInvalid
        outcome = await self._refreshed(presented, address)
        if outcome.decision in REFUSALS or outcome.is_too_frequent:
            await self._rates.refresh.count(*keys)
        if outcome.session is None or outcome.decision in REFUSALS:
            raise REFUSALS[outcome.decision]
        return json_response(self._tokens(outcome.session, self._now()))

    async def logout(self, request: Request) -> Response:
        """End the session of a refresh token, or of an access token where there is no other.

        Whatever is presented, the answer is the same: signing out twice is no mistake, and
        nobody learns here whether a token was good.
        """
        body = await read(request, SignOut)
        session_id = self._session_of(request, body.refresh_token)
        if session_id:
            # First here, so that the access tokens end even while the database is down.
            self._revocations.add([session_id])
            await self._store.revoke(session_id, self._now(), address=address_of(request))
        return no_content()

    async def logout_all(self, request: Request) -> Response:
        """End every session of the person who asks."""
        user_id = self._bearer.authenticate(request).user_id
        address = address_of(request)
        self._revocations.add(await self._store.revoke_all(user_id, self._now(), address))
        return no_content()

    async def _opened(
        self, credentials: Credentials, device: str, address: str | None
    ) -> tuple[User, Session]:
        user = await self._verified(credentials, address)
        session = await self._store.open_session(user, device, self._now(), address)
        if session is None:  # Disabled, perhaps at this moment.
            raise BadCredentials
        return user, session

    async def _verified(self, credentials: Credentials, address: str | None) -> User:
        keys = account_key(canonical(credentials.username)), address_key(address)
        await self._rates.login.check(*keys)
        user = await self._users.find(credentials.username)
        known_hash = user.password_hash if user else None
        fits = await self._passwords.verify(credentials.password, known_hash)
        if user is None or not fits:
            await self._rates.login.count(*keys)
            await self._store.note_failed_sign_in(user, self._now(), address)
            raise BadCredentials
        # Once more: many guesses at once all pass the first check, and the right one among them
        # must not be told from the wrong.
        await self._rates.login.check(*keys)
        return user

    async def _refreshed(
        self, presented: RefreshTokenClaims, address: str | None
    ) -> RefreshOutcome:
        outcome = await self._store.refresh(presented, self._now(), address)
        if outcome.decision in {Decision.REUSE, Decision.REVOKED}:
            self._revocations.add([presented.session_id])
        return outcome

    def _session_of(self, request: Request, token: object) -> str | None:
        if self._refresh_tokens and isinstance(token, str):
            presented = self._refresh_tokens.read(token)
            return presented.session_id if presented else None
        try:
            return self._bearer.authenticate(request).session_id
        except Challenge:
            return None

    def _tokens(self, session: Session, now: float) -> dict[str, object]:
        left = seconds_left(session, now, self._policy)
        access = self._access.issue(session.user_id, session.id, left)
        tokens: dict[str, object] = {
            "accessToken": access.token,
            "tokenType": "Bearer",
            "expiresIn": access.expires_in,
        }
        if self._refresh_tokens:
            tokens["refreshToken"] = self._refresh_tokens.write(session)
            tokens["refreshExpiresIn"] = int(left)
        return tokens
