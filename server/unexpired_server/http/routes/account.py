"""Who am I, and where am I signed in?"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import NotFound, SessionRevoked
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.responses import iso, json_response, no_content
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.rules import SessionPolicy, ends_at
from unexpired_server.sessions.store import SessionInfo, Store
from unexpired_server.sessions.users import Users


class Account:
    """The routes of the person who asks.

    Args:
        users: Knows their name.
        store: Keeps their sessions.
        policy: How long sessions last.
        revocations: Hears first of a session that is over.
        bearer: Authenticates requests.
        now: The clock, in Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each of them once
        self,
        *,
        users: Users,
        store: Store,
        policy: SessionPolicy,
        revocations: Revocations,
        bearer: BearerAuthenticator,
        now: Callable[[], float],
    ) -> None:
        self._users = users
        self._store = store
        self._policy = policy
        self._revocations = revocations
        self._bearer = bearer
        self._now = now

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/api/me", self.me),
            Route("/api/sessions", self.sessions),
            Route("/api/sessions/{id}", self.revoke, methods=["DELETE"]),
        ]

    async def me(self, request: Request) -> Response:
        """The person who asks."""
        claims = self._bearer.authenticate(request)
        username = await self._users.username_of(claims.user_id)
        if username is None:
            raise SessionRevoked
        return json_response({"id": claims.user_id, "username": username})

    async def sessions(self, request: Request) -> Response:
        """Their live sessions, newest first."""
        claims = self._bearer.authenticate(request)
        devices = await self._store.live(self._now(), claims.user_id)
        return json_response({"sessions": [self._shown(d, claims.session_id) for d in devices]})

    async def revoke(self, request: Request) -> Response:
        """End one of their sessions; another person's is as unknown as one that never was."""
        user_id = self._bearer.authenticate(request).user_id
        session_id = request.path_params["id"]
        # A NUL in the path would be an error to PostgreSQL; ids are letters and digits.
        known = session_id.isalnum() and await self._store.revoke(
            session_id, self._now(), user_id, address_of(request)
        )
        if not known:
            raise NotFound
        self._revocations.add([session_id])
        return no_content()

    def _shown(self, device: SessionInfo, current: str) -> dict[str, object]:
        session = device.session
        return {
            "id": session.id,
            "device": device.name,
            "address": device.address,
            "createdAt": iso(session.created_at),
            "refreshedAt": iso(session.refreshed_at),
            "expiresAt": iso(ends_at(session, self._policy)),
            "current": session.id == current,
        }
