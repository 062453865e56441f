"""The current user and their sessions."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import BadRequest, NotFound, SessionRevoked, Unavailable
from unexpired_server.http.bearer import BearerAuthenticator, address_of
from unexpired_server.http.failure_response import iso
from unexpired_server.http.models import ResponseModel
from unexpired_server.http.openapi import BEARER_FAILURES, ID_PARAMETER, Operation
from unexpired_server.http.paging import PAGE_PARAMETERS, read_page
from unexpired_server.http.responses import json_response, no_content
from unexpired_server.sessions.directory import Directory
from unexpired_server.sessions.sessions import Sessions
from unexpired_server.sessions.store import SessionInfo


class UserOut(ResponseModel):
    """Who is signed in, and what this access token lets them do (RFC 6749, section 3.3)."""

    id: str
    username: str
    scopes: list[str]


class SessionOut(ResponseModel):
    """A session, as its owner may know it; times in ISO 8601.

    The address is the one that the session was last used from: signed in, or refreshed. A bound
    one can be refreshed only by the device that has its key.
    """

    id: str
    device: str
    address: str | None
    created_at: str
    refreshed_at: str
    expires_at: str
    current: bool
    bound: bool


class SessionListOut(ResponseModel):
    """The live sessions, newest first; ``next`` asks for those ``after`` it, if there are more."""

    sessions: list[SessionOut]
    next: str | None = None


OPERATIONS = (
    Operation("get", "/api/me", "Who is signed in", UserOut, (*BEARER_FAILURES, Unavailable)),
    Operation(
        "get", "/api/sessions", "Where I am signed in", SessionListOut,
        (BadRequest, *BEARER_FAILURES, Unavailable), parameters=PAGE_PARAMETERS,
    ),
    Operation(
        "delete", "/api/sessions/{id}", "Sign out elsewhere", None,
        (*BEARER_FAILURES, NotFound, Unavailable), status=204, parameters=(ID_PARAMETER,),
    ),
)  # fmt: skip


def user_out(user_id: str, username: str, scopes: Iterable[str]) -> UserOut:
    """Return a user as responses show one."""
    return UserOut(id=user_id, username=username, scopes=sorted(scopes))


class AccountRoutes:
    """The routes of the current user.

    Args:
        directory: Finds their name.
        sessions: Lists and ends their sessions.
        bearer: Authenticates requests.
    """

    def __init__(
        self, directory: Directory, sessions: Sessions, bearer: BearerAuthenticator
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self._bearer = bearer

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/me", self.me),
            Route("/api/sessions", self.sessions),
            Route("/api/sessions/{id}", self.revoke, methods=["DELETE"]),
        ]

    async def me(self, request: Request) -> Response:
        """Return the current user."""
        claims = await self._bearer.authenticate(request)
        username = await self._directory.name_of(claims.user_id)
        if username is None:
            raise SessionRevoked
        return json_response(user_out(claims.user_id, username, claims.scopes))

    async def sessions(self, request: Request) -> Response:
        """List their live sessions, newest first."""
        claims, page = await self._bearer.authenticate(request), read_page(request)
        live = await self._sessions.live(claims.user_id, after=page.after, limit=page.limit + 1)
        shown = live[: page.limit]
        return json_response(
            SessionListOut(
                sessions=[_session_out(one, claims.session_id) for one in shown],
                next=shown[-1].session.id if shown != live else None,
            )
        )

    async def revoke(self, request: Request) -> Response:
        """End one of their sessions; another user's does not exist for them."""
        user_id = (await self._bearer.authenticate(request)).user_id
        session_id = request.path_params["id"]
        # PostgreSQL cannot take a NUL from the path; ids are letters and digits.
        if not session_id.isalnum() or not await self._sessions.revoke(
            session_id, user_id, address_of(request)
        ):
            raise NotFound
        return no_content()


def _session_out(info: SessionInfo, current_id: str) -> SessionOut:
    session = info.session
    return SessionOut(
        id=session.id,
        device=info.device,
        address=info.address,
        created_at=iso(session.created_at),
        refreshed_at=iso(session.refreshed_at),
        expires_at=iso(info.ends_at),
        current=session.id == current_id,
        bound=info.is_bound,
    )
