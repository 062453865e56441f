"""Sign in at an OpenID Connect provider, and get a session of this server.

1. The page makes a verifier, keeps it, and goes to ``/api/login/provider`` with its challenge.
2. The provider signs the person in, and sends the browser back to ``…/callback``.
3. Whatever came of it, the browser goes on to the page, which finds in its fragment a code of ours
   or a word for what went wrong. A fragment is in no request, and so in no log.
4. The page redeems the code with its verifier for the tokens of a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired.sign_in_redirect import is_inside
from unexpired_server.errors import (
    BadCredentials,
    BadRequest,
    Failure,
    RateLimited,
    SignInInvalid,
    Unavailable,
)
from unexpired_server.http.bearer import address_of
from unexpired_server.http.bodies import read_body
from unexpired_server.http.failure_response import NO_STORE
from unexpired_server.http.models import RequestModel
from unexpired_server.http.openapi import BODY_FAILURES, PROOF_FAILURES, Operation
from unexpired_server.http.proofs import ProofChecker
from unexpired_server.http.rate_limits import RateLimits
from unexpired_server.http.request_urls import RequestURLs
from unexpired_server.http.routes.account import UserOut
from unexpired_server.http.routes.authentication import (
    SignedInOut,
    device_of,
    signed_in,
    tokens_response,
)
from unexpired_server.http.session_cookie import SessionCookie
from unexpired_server.http.sign_in_cookies import LONGEST_PAGE, PendingSignIn, SignInCookies
from unexpired_server.ops.metrics import Metrics, counted
from unexpired_server.sessions.directory import Directory
from unexpired_server.sessions.identities import Identity, UsersOfPeople
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.sessions.sign_in_codes import SignInCodes
from unexpired_server.sessions.user import User
from unexpired_server.sessions.usernames import canonical
from unexpired_server.tokens import base64url
from unexpired_server.tokens.provider import (
    PROVIDER_REFUSED,
    ProviderClient,
    SignInRefusedError,
)

START = "/api/login/provider"
CALLBACK = f"{START}/callback"
TOKEN = f"{START}/token"

PAGE = "/#/login"
"""Where the page is when it does not say."""

NOT_ALLOWED = "NOT_ALLOWED"
SIGN_IN_TIMED_OUT = "SIGN_IN_TIMED_OUT"
UNKNOWN_SIGN_IN = "UNKNOWN_SIGN_IN"

CODE = "code"
FAILED = "failed"

READABLE = "!#$%&'()*+,-./:;=?@[]_~"
"""What an address may contain as it is (RFC 3986, section 2)."""

Verifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")]
"""RFC 7636, section 4.1."""


class Redemption(RequestModel):
    """The code from the page's fragment, and the verifier that the page has kept."""

    code: str = Field(min_length=1, max_length=200, repr=False)
    verifier: Verifier = Field(repr=False)
    cookie: bool = Field(
        default=False,
        description="Whether to set the refresh token as a cookie, and leave it out of the body.",
    )


class ProviderUserOut(UserOut):
    """Who has signed in, and the name of the provider; there may be no password to change."""

    login_with: str


class SignedInWithOut(SignedInOut):
    """A new session's tokens, and whose it is."""

    user: ProviderUserOut


def _query(name: str, description: str, *, required: bool = False) -> dict[str, object]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }


OPERATIONS = (
    Operation(
        "get", START, "Go to the provider", None, (BadRequest, Unavailable), status=302,
        parameters=(
            _query("challenge", "The S256 challenge of the page's verifier.", required=True),
            _query("next", "Where the page is: a path of this origin."),
        ),
    ),
    Operation(
        "get", CALLBACK, "Come back from the provider, and go on to the page", None,
        (Unavailable,), status=302,
        parameters=tuple(
            _query(name, "From the provider.") for name in ("state", "code", "iss", "error")
        ),
    ),
    Operation(
        "post", TOKEN, "Sign in with the code of a return from the provider",
        SignedInWithOut,
        (*BODY_FAILURES, SignInInvalid, *PROOF_FAILURES, RateLimited, Unavailable),
        request=Redemption,
    ),
)  # fmt: skip


class ProviderRoutes:
    """The routes of a sign-in at a provider.

    Args:
        provider: The provider.
        people: Finds the users of the people whom it knows.
        directory: Finds users by their id.
        sessions: Opens sessions.
        codes: Bring people back to their page.
        cookies: Keep what a sign-in needs meanwhile.
        limits: The limits of sign-ins.
        proofs: Checks the proofs of sessions' keys.
        metrics: Counts the outcomes.
        cookie: The cookie that may have the refresh token.
        public_url: The URL that clients use for this server.
        label: The provider's name for people.
    """

    def __init__(  # noqa: PLR0913 - the service passes each of them once
        self,
        provider: ProviderClient,
        people: UsersOfPeople,
        directory: Directory,
        sessions: Sessions,
        *,
        codes: SignInCodes,
        cookies: SignInCookies,
        limits: RateLimits,
        proofs: ProofChecker,
        metrics: Metrics,
        cookie: SessionCookie,
        public_url: str,
        label: str,
    ) -> None:
        self._label = label
        self._provider = provider
        self._people = people
        self._directory = directory
        self._sessions = sessions
        self._codes = codes
        self._cookies = cookies
        self._limits = limits
        self._proofs = proofs
        self._metrics = metrics
        self._cookie = cookie
        self._urls = RequestURLs(public_url)
        self._page = urlsplit(public_url).path + PAGE

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(START, self.start, methods=["GET"]),
            Route(CALLBACK, self.come_back, methods=["GET"]),
            Route(TOKEN, self.token, methods=["POST"]),
        ]

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider."""
        challenge = _challenge_of(request)
        pending = self._cookies.begin(challenge, self._page_of(request))
        redirect_uri = self._urls.public(request) + CALLBACK.removeprefix(START)
        try:
            url = await self._provider.authorization_url(pending.secrets, redirect_uri)
        except SignInRefusedError as refusal:
            return self._failed(pending.page, refusal.code)
        response = _redirect(url)
        self._cookies.put(pending, request, response)
        return response

    async def come_back(self, request: Request) -> Response:
        """Send the browser on to the page, with a code of ours or a word for what went wrong."""
        answer = _answer_of(request)
        pending = self._cookies.of(answer.get("state", ""), request)
        if pending is None:
            return self._failed(self._page, UNKNOWN_SIGN_IN)
        try:
            user_id = await self._signed_in(pending, answer, request)
            code = await self._codes.write(user_id, base64url.encode(pending.challenge))
        except SignInRefusedError as refusal:
            response = self._failed(pending.page, refusal.code)
        except Failure as failure:
            response = self._failed(pending.page, failure.code)
        else:
            response = _redirect(_with(pending.page, CODE, code))
        self._cookies.clear(pending, response)
        return response

    async def token(self, request: Request) -> Response:
        """Open a session for the user of a code."""
        body, address = await read_body(request, Redemption), address_of(request)
        self._cookie.check_sign_in(request, is_wanted=body.cookie)
        with counted(self._metrics.sign_ins):
            # First, so that a code is used up once, however often a proof is made again.
            jkt = self._proofs.sign_in_key(request)
            await self._limits.provider.check(address)
            user = await self._user_of(body, address)
            try:
                tokens = await self._sessions.open(
                    user, device_of(request), address, username=user.username, jkt=jkt
                )
            except BadCredentials:
                raise SignInInvalid from None
        self._limits.sign_in.count_success(_account_of(user))
        await self._cookie.end_replaced(request, self._sessions)

        def respond(shown: SessionTokens) -> Response:
            return tokens_response(self._out(user, shown))

        return self._cookie.answer(request, tokens, respond, in_cookie=body.cookie)

    async def _signed_in(
        self, pending: PendingSignIn, answer: Mapping[str, str], request: Request
    ) -> str:
        """Return the id of the user whom the provider has signed in."""
        address = address_of(request)
        if self._cookies.is_too_old(pending):
            raise SignInRefusedError(SIGN_IN_TIMED_OUT)
        code = await self._provider.code_in(answer)
        await self._limits.provider.check(address)
        redirect_uri = self._urls.public(request)
        try:
            claims = await self._provider.claims(code, pending.secrets, redirect_uri)
        except SignInRefusedError as refusal:
            if refusal.code == PROVIDER_REFUSED:  # Nobody makes us ask it again and again.
                await self._limits.provider.count_forged(address)
            raise
        identity = Identity(self._provider.issuer, claims["sub"], claims)
        found = await self._people.find_or_create(identity)
        if found.user is None:
            await self._sessions.note_failed_sign_in(found.user_id, address)
            raise SignInRefusedError(NOT_ALLOWED)
        if found.is_new:
            await self._sessions.note_sign_up(found.user.id, address)
        await self._limits.sign_in.check_successes(_account_of(found.user))
        return found.user.id

    async def _user_of(self, body: Redemption, address: str | None) -> User:
        user_id = await self._codes.redeem(body.code, body.verifier)
        if user_id is None:
            await self._limits.provider.count_forged(address)
            raise SignInInvalid
        user = await self._directory.find(user_id)
        if user is None:
            await self._sessions.note_failed_sign_in(user_id, address)
            raise SignInInvalid
        return user

    def _out(self, user: User, tokens: SessionTokens) -> SignedInWithOut:
        out = signed_in(user, tokens, self._proofs)
        whose = ProviderUserOut(**dict(out.user), login_with=self._label)
        return SignedInWithOut(**{**dict(out), "user": whose})

    def _page_of(self, request: Request) -> str:
        """Return where the page is, where that is plainly inside this origin."""
        wanted = request.query_params.get("next", "")
        address = quote(wanted, safe=READABLE)
        return address if is_inside(wanted) and len(address) <= LONGEST_PAGE else self._page

    def _failed(self, page: str, code: str) -> Response:
        self._metrics.sign_ins.labels(code).inc()
        return _redirect(_with(page, FAILED, code))


def _challenge_of(request: Request) -> bytes:
    given = request.query_params.getlist("challenge")
    try:
        challenge = base64url.decode(given[0]) if len(given) == 1 else b""
    except ValueError:
        challenge = b""
    if len(challenge) != 32:  # noqa: PLR2004 - SHA-256
        raise BadRequest("challenge: The S256 challenge of the page's verifier is missing.")
    return challenge


def _answer_of(request: Request) -> dict[str, str]:
    """Return the provider's answer; one with a member twice is none (RFC 6749, section 3.1)."""
    pairs = request.query_params.multi_items()
    answer = dict(pairs)
    return answer if len(answer) == len(pairs) else {}


def _with(page: str, name: str, value: str) -> str:
    """Return the address of the page with one value in its fragment, as a query there."""
    address, _, fragment = page.partition("#")
    route, has_query, query = fragment.partition("?")
    if not has_query and "=" in route:
        route, query = "", route
    kept = [one for one in query.split("&") if one.partition("=")[0] not in {"", CODE, FAILED}]
    pairs = "&".join([*kept, f"{name}={value}"])
    return f"{address}#{route}?{pairs}" if route else f"{address}#{pairs}"


def _redirect(url: str) -> Response:
    return Response(status_code=302, headers={**NO_STORE, "Location": url})


def _account_of(user: User) -> str:
    return canonical(user.username or user.id)
