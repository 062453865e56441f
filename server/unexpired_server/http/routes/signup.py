"""Create an account."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.errors import (
    InvalidUsername,
    RateLimited,
    Unavailable,
    UsernameTaken,
    WeakPassword,
)
from unexpired_server.http.bearer import address_of
from unexpired_server.http.bodies import read_body
from unexpired_server.http.models import RequestModel
from unexpired_server.http.openapi import (
    BODY_FAILURES,
    PROOF_FAILURES,
    Operation,
)
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.http.rate_limits import RateLimits
from unexpired_server.http.routes.authentication import (
    SignedInOut,
    device_of,
    signed_in,
    tokens_response,
)
from unexpired_server.http.session_cookie import SessionCookie
from unexpired_server.ops.metrics import Metrics, counted
from unexpired_server.sessions.passwords import InvalidPasswordError, Passwords
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.sessions.usernames import InvalidUsernameError, new_username
from unexpired_server.sessions.users import Account, UserExistsError, Users


class SignUp(RequestModel):
    """The name and the password of a new user."""

    username: str
    password: str = Field(repr=False)
    cookie: bool = Field(
        default=False,
        description="Whether to set the refresh token as a cookie, and leave it out of the body.",
    )


OPERATIONS = (
    Operation(
        "post", "/api/signup", "Create an account, and sign in", SignedInOut,
        (
            *BODY_FAILURES, InvalidUsername, WeakPassword, UsernameTaken, *PROOF_FAILURES,
            RateLimited, Unavailable,
        ),
        status=201, request=SignUp,
    ),
)  # fmt: skip


class SignUpRoutes:
    """The route by which people create accounts.

    Args:
        users: Adds users.
        sessions: Opens their first session.
        passwords: Hashes their passwords.
        limits: The limits of sign-ups and sign-ins.
        proofs: Checks the proofs of sessions' keys.
        metrics: Counts the outcomes.
        cookie: The cookie that may have the refresh token.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - the service passes each of them once
        self,
        users: Users,
        sessions: Sessions,
        *,
        passwords: Passwords,
        limits: RateLimits,
        proofs: ProofChecker,
        metrics: Metrics,
        cookie: SessionCookie,
        now: Callable[[], float],
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._passwords = passwords
        self._limits = limits
        self._proofs = proofs
        self._metrics = metrics
        self._cookie = cookie
        self._now = now

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/api/signup", self.sign_up, methods=["POST"])]

    async def sign_up(self, request: Request) -> Response:
        """Add a user, and open a session for them."""
        body, address = await read_body(request, SignUp), address_of(request)
        self._cookie.check_sign_in(request, is_wanted=body.cookie)
        with counted(self._metrics.sign_ups):
            jkt = self._proofs.sign_in_key(request)  # First: it may have to be made again.
            user = await self._added(body, address)
            tokens = await self._sessions.open(user, device_of(request), address, jkt=jkt)
        self._limits.sign_in.count_success(user.username)
        await self._cookie.end_replaced(request, self._sessions)

        def respond(shown: SessionTokens) -> Response:
            return tokens_response(signed_in(user, shown, self._proofs), 201)

        return self._cookie.answer(request, tokens, respond, in_cookie=body.cookie)

    async def _added(self, body: SignUp, address: str | None) -> Account:
        name = _checked(body.username)
        await self._limits.sign_up.check(address)
        try:
            # Before the name is looked for, so that one that is taken takes as long.
            password_hash = await self._passwords.hash_new(body.password)
            await self._limits.sign_up.count(address)
            user = await self._users.add(name, password_hash, self._now())
        except InvalidPasswordError as exc:
            raise WeakPassword(str(exc)) from None
        except UserExistsError:
            raise UsernameTaken from None
        await self._sessions.note_sign_up(user.id, address)
        return user


def _checked(username: str) -> str:
    try:
        return new_username(username)
    except InvalidUsernameError as exc:
        raise InvalidUsername(str(exc)) from None
