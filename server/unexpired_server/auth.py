"""The server in other people's applications: FastAPI and Starlette."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from unexpired_server.errors import Failure
from unexpired_server.http.authenticators import (
    Authenticator,
    LocalAuthenticator,
    RemoteAuthenticator,
)
from unexpired_server.http.current_user import (
    CurrentAccount,
    CurrentUser,
    OptionalUser,
    RequiredScopes,
)
from unexpired_server.http.exception_handlers import ensure_handler, failure_handlers
from unexpired_server.http.prefix import DEFAULT_PREFIX, check_reachable, checked_prefix
from unexpired_server.http.requires import install_user
from unexpired_server.http.routes.system import KEYS
from unexpired_server.http.sockets import AuthSocket, signed_in_socket
from unexpired_server.service import Service
from unexpired_server.sessions.deliveries import Deliver
from unexpired_server.sessions.passwords import Hasher
from unexpired_server.sessions.user import ClaimsHook, User, UserStore
from unexpired_server.settings import Settings, checked_public_url, load_settings
from unexpired_server.tokens.token_verifier import TokenVerifier

if TYPE_CHECKING:  # See ``sessions.passwords``.
    from argon2 import PasswordHasher


class Auth:
    """Sign-in for an application: its routes, its current user, and what that user may do.

    Nothing else of the application changes: its errors, unknown paths, middleware, logging and
    signals stay its own.

    Args:
        settings: The server's settings; those of the environment when None.
        users: The application's own users, in place of the built-in table.
        claims: Returns further claims for a user's access token.
        deliver: Sends a link for a forgotten password to its user; without it nobody can reset one.
        verifier: Verifies tokens that another server issues: a ``JWKSVerifier``, or an
            ``IntrospectionVerifier``, or one of your own; then there are no routes and no
            database, and no other argument may be given but ``public_url``.
        public_url: With ``verifier``: the URL that clients use for this service, such as
            ``https://api.example``, where a proxy changes host or path. Proofs of tokens that are
            bound to a key name it; without it they must name the requests' ``Host``.
        now: The clock of all nodes, in Unix seconds; the database's when None.
        hasher: Argon2's parameters, RFC 9106's low-memory ones when None; or another ``Hasher``.

    Attributes:
        user: The current user, verified without a query: a dependency of FastAPI
            (``Annotated[User, Depends(auth.user)]``), elsewhere ``await auth.user(request)``. On a
            WebSocket without the header it takes the first message, as ``socket`` does.
        optional: The same, and None without a token; a bad token is refused all the same.

    Raises:
        SettingsError: The keys or the database URL cannot be used, or an extra is missing.
        TypeError: ``verifier`` is given together with another argument, ``public_url`` without it,
            or ``settings`` or ``verifier`` is something else.
        ValueError: ``public_url`` is no such URL.

    In FastAPI::

        auth = Auth()
        app = FastAPI(lifespan=auth.lifespan)
        auth.install(app, prefix="/api")
    """

    user: CurrentUser
    optional: OptionalUser

    def __init__(  # noqa: PLR0913 - each is a part that an application may bring
        self,
        settings: Settings | None = None,
        *,
        users: UserStore | None = None,
        claims: ClaimsHook | None = None,
        deliver: Deliver | None = None,
        verifier: TokenVerifier | None = None,
        public_url: str | None = None,
        now: Callable[[], float] | None = None,
        hasher: PasswordHasher | Hasher | None = None,
    ) -> None:
        _check_type("settings", settings, Settings)
        _check_type("verifier", verifier, TokenVerifier)
        self._service: Service | None = None
        authenticator: Authenticator
        if verifier is None:
            if public_url is not None:
                raise TypeError("public_url goes with verifier: Settings(public_url=…) has it")
            self._service = Service(
                load_settings() if settings is None else settings,
                users=users,
                claims=claims,
                deliver=deliver,
                now=now,
                hasher=hasher,
            )
            authenticator = LocalAuthenticator(self._service.bearer, self._service.now)
        else:
            given = {"settings": settings, "users": users, "claims": claims, "deliver": deliver,
                     "now": now, "hasher": hasher}  # fmt: skip
            for name, value in given.items():
                if value is not None:
                    raise TypeError(f"verifier and {name} exclude each other: it issues no tokens")
            url = None if public_url is None else checked_public_url(public_url)
            authenticator = RemoteAuthenticator(verifier, url)
        self._authenticator = authenticator
        self.user = CurrentUser(authenticator)
        self.optional = OptionalUser(authenticator)
        self._account: CurrentAccount | None = None
        self._is_running = False

    @property
    def service(self) -> Service:
        """The server's parts.

        Raises:
            RuntimeError: Another server issues the tokens.
        """
        if self._service is None:
            raise RuntimeError("Auth(verifier=…) only verifies tokens: it has no users or sessions")
        return self._service

    @asynccontextmanager
    async def lifespan(self, _app: object = None) -> AsyncIterator[None]:
        """Run what the application needs until it stops: its ``lifespan``, or entered in it.

        Raises:
            RuntimeError: It is entered already.
            SettingsError: The SQLite file cannot be used.
        """
        if self._is_running:
            raise RuntimeError("auth.lifespan is entered already: once is enough for all routes")
        self._is_running = True
        try:
            async with self._service.running() if self._service else nullcontext():
                yield
        finally:
            self._is_running = False

    def install(self, app: Starlette, prefix: str = DEFAULT_PREFIX) -> None:
        """Add the routes to an application, and a handler for this package's failures.

        In FastAPI the routes are part of ``/docs`` and ``/openapi.json``. With EdDSA or ES256 the
        public keys are at ``/.well-known/jwks.json``. The handler is added only where the
        application has none for ``Failure``. Give the application ``lifespan=auth.lifespan``, or
        enter it in its own.

        Args:
            app: The application, before it starts; the outermost one, if others are mounted in it.
            prefix: What the paths begin with: "" or such as ``/auth`` or ``/v1/api``.

        Raises:
            TypeError: ``app`` is neither a Starlette nor a FastAPI application.
            ValueError: ``prefix`` is no such prefix.
            RuntimeError: The application has started, was given to ``install`` before, or has a
                route or a mount that would take the requests of ours, such as ``/{path:path}``.
        """
        if not isinstance(app, Starlette):
            raise TypeError(
                "app is the FastAPI or Starlette application itself, not " + type(app).__name__
            )
        if app.middleware_stack is not None:
            raise RuntimeError("Call install() before the application starts")
        routes = self._routes(app, checked_prefix(prefix))
        check_reachable(routes, app.routes)
        install_user(app.router, self.user)
        app.router.routes.extend(routes)
        if Failure not in app.exception_handlers:
            app.exception_handlers.update(failure_handlers(strict=self._authenticator.strict))

    def _routes(self, app: Starlette, prefix: str) -> list[Route]:
        if self._service is None:
            return []
        routes, keys = self._service.routes(prefix), self._service.key_routes()
        # FastAPI is optional, and imported wherever there is such an application.
        fastapi = sys.modules.get("fastapi")
        if fastapi is None or not isinstance(app, fastapi.FastAPI):
            return [*routes, *keys]
        from unexpired_server.http import in_fastapi  # noqa: PLC0415 - FastAPI is optional

        return [
            *in_fastapi.api_routes(routes, self._service.operations(), prefix),
            *in_fastapi.api_routes(keys, [KEYS], ""),
        ]

    def requires(self, *scopes: str) -> RequiredScopes:
        """Return a dependency of FastAPI for the current user, who must have some scopes.

        Args:
            *scopes: All of them are needed; without any, every user is let in.

        Raises:
            ValueError: One is not a scope (RFC 6749, section 3.3).
        """
        return RequiredScopes(self.user, scopes)

    @property
    def account(self) -> CurrentAccount:
        """The current user as the table has it now, of the table's own class; asks the table.

        Raises:
            RuntimeError: Another server issues the tokens.
        """
        if self._account is None:
            self._account = CurrentAccount(self.user, self.service.directory.find)
        return self._account

    async def open_session(
        self, user: User, request: Request, *, response: Response | None = None
    ) -> dict[str, Any]:
        """Sign in a user whom the application has authenticated itself, as by a link in an e-mail.

        Return the response to a sign-in, as the client expects it: the tokens, and ``user``. Send
        it with ``Cache-Control: no-store``. The session is listed, limited, audited and ended like
        any other.

        Args:
            user: The user. Of the built-in table only the id counts.
            request: The user's request, of which the session keeps the device and the address. With
                a proof of a key (``DPoP``), the session is bound to that key.
            response: The response that you will send, for a page with ``storage="cookie"``: the
                refresh token is set on it as a cookie, and is not in what is returned.

        Raises:
            BadCredentials: The built-in table has no such user, or sign-in is disabled.
            BadRequest: A page of this origin may not have the cookie, or the setting ``cookies``
                is off.
            InvalidProof: The setting ``dpop_required`` is on, and there is no valid proof.
            Unavailable: The database does not respond, or the service does not run.
            RuntimeError: Another server issues the tokens.
            TypeError: ``user`` is no ``User``.
        """
        if not isinstance(user, User):
            raise TypeError(f"user is a User, not {type(user).__name__}")
        service = self.service
        try:
            signed_in = await service.open_session(user, request, response)
        except Failure:
            ensure_handler(request.scope, strict=self._authenticator.strict)
            raise
        return signed_in.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    def socket(
        self, websocket: WebSocket, *scopes: str, origins: Collection[str] | None = None
    ) -> AbstractAsyncContextManager[AuthSocket]:
        """Accept a WebSocket whose first message is ``{"token": "…"}``.

        The client has 10 seconds for it, and receives ``{"type": "ready", "expiresIn": …}``. It may
        send a newer token of the same user at any time; the application does not receive that
        message. Soon after the token expires or the session ends, the client receives
        ``{"type": "error", "code": …, "error": …}``, and the WebSocket is closed with 4401, or with
        4403 where a scope is missing; then receiving and sending raise ``WebSocketDisconnect``. The
        context ends quietly with that exception, and when the client has gone.

        Args:
            websocket: The WebSocket, which need not be accepted yet.
            *scopes: All of them are needed, of each token.
            origins: The only origins whose pages may connect, such as ``https://app.example.com``;
                all when None, as no page can send the token of another.

        Raises:
            Failure: The user was not let in. The WebSocket is closed, and the exception is handled.
            ValueError: One is not a scope (RFC 6749, section 3.3), or ``origins`` is one text.
        """
        return signed_in_socket(websocket, self._authenticator, scopes, origins)


def _check_type(name: str, value: object, expected: type) -> None:
    if value is not None and not isinstance(value, expected):
        raise TypeError(f"{name} is of the class {expected.__name__}, not {type(value).__name__}")
