"""The current user, as dependencies of FastAPI and as functions of any request.

FastAPI reads a dependency's parameters from its signature. Where it is installed, ours name its
own classes, so that ``/docs`` shows which operations need a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from inspect import Signature
from typing import ClassVar

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from unexpired_server.errors import Failure, Forbidden, SessionRevoked, TokenMissing
from unexpired_server.http.authenticators import Authenticator, user_of
from unexpired_server.http.exception_handlers import ensure_handler
from unexpired_server.http.sockets import require_scopes, signed_in_user
from unexpired_server.scopes import checked_scopes
from unexpired_server.sessions.user import User


class _FastAPISignature:
    """What ``inspect.signature`` finds on a dependency where FastAPI is installed."""

    def __get__(self, dependency: Dependency | None, _owner: object) -> Signature:
        if dependency is None:
            raise AttributeError("__signature__")
        try:
            from unexpired_server.http import in_fastapi  # noqa: PLC0415 - FastAPI is optional
        except ImportError:
            raise AttributeError("__signature__") from None
        return in_fastapi.signature_of(dependency.begins_with, dependency.scopes)


class Dependency:
    """What FastAPI calls with a request, and other applications await.

    Attributes:
        begins_with: The dependency whose user this one is given; None reads the token itself.
        scopes: The scopes that are needed, for ``/docs``.
    """

    __signature__: ClassVar[_FastAPISignature] = _FastAPISignature()

    def __init__(self, begins_with: CurrentUser | None = None, scopes: Iterable[str] = ()) -> None:
        self.begins_with: CurrentUser | None = begins_with
        self.scopes: frozenset[str] = checked_scopes(scopes)


class CurrentUser(Dependency):
    """The user of a request's access token, without a query.

    Args:
        authenticator: Verifies access tokens.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        super().__init__()
        self.authenticator: Authenticator = authenticator

    async def __call__(self, request: HTTPConnection, user: object = None) -> User:  # noqa: ARG002 - FastAPI gives it
        """Return the user: id, scopes and claims, as of when the token was issued.

        A WebSocket without the header is accepted, and its first message is the token, as with
        ``Auth.socket``; the application then accepts and uses it as any other.

        Args:
            request: The request, or a WebSocket that is not accepted yet.
            user: Given by FastAPI.

        Raises:
            Challenge: The request has no token, or one that is refused; the code says why.
            Unavailable: The service does not run, so revocations are unknown.
        """
        try:
            if isinstance(request, WebSocket) and "authorization" not in request.headers:
                return await signed_in_user(request, self.authenticator)
            return user_of(await self.authenticator.authenticate(request))
        except Failure:
            ensure_handler(request.scope, strict=self.authenticator.strict)
            raise


class OptionalUser(Dependency):
    """The user of a request's access token; None without a token.

    Args:
        authenticator: Verifies access tokens.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        super().__init__()
        self._current = CurrentUser(authenticator)

    async def __call__(self, request: HTTPConnection, user: object = None) -> User | None:  # noqa: ARG002 - FastAPI gives it
        """Return the user, or None without a token.

        Args:
            request: The request, or a WebSocket with the token in its header.
            user: Given by FastAPI.

        Raises:
            Challenge: The token is refused; the code says why.
            Unavailable: The service does not run, so revocations are unknown.
        """
        if isinstance(request, WebSocket) and "authorization" not in request.headers:
            return None  # Whether a token comes is not known before it is accepted.
        try:
            return await self._current(request)
        except TokenMissing:
            return None


class RequiredScopes(Dependency):
    """The user, who must have some scopes.

    Args:
        user: Finds the user.
        scopes: All of them are needed.
    """

    def __init__(self, user: CurrentUser, scopes: Iterable[str]) -> None:
        super().__init__(user, scopes)
        self._current = user

    async def __call__(self, request: HTTPConnection, user: User | None = None) -> User:
        """Return the user.

        Args:
            request: The request, or a WebSocket that is not accepted yet.
            user: Given by FastAPI.

        Raises:
            Forbidden: A scope is missing.
            Challenge: The request has no token, or one that is refused; the code says why.
            Unavailable: The service does not run, so revocations are unknown.
        """
        found = user or await self._current(request)
        if not self.scopes <= found.scopes:
            ensure_handler(request.scope, strict=self._current.authenticator.strict)
            raise Forbidden(scopes=self.scopes)
        require_scopes(request.scope, self.scopes)
        return found


class CurrentAccount(Dependency):
    """The user as the table has it now.

    Args:
        user: Finds the user of the token.
        find: Reads the table.
    """

    def __init__(self, user: CurrentUser, find: Callable[[str], Awaitable[User | None]]) -> None:
        super().__init__(user)
        self._current = user
        self._find = find

    async def __call__(self, request: HTTPConnection, user: User | None = None) -> User:
        """Return the user as the table has it, of the table's own class.

        Args:
            request: The request, or a WebSocket with the token in its header.
            user: Given by FastAPI.

        Raises:
            SessionRevoked: The user is gone, or disabled.
            Challenge: The request has no token, or one that is refused; the code says why.
            Unavailable: The database does not respond, or the service does not run.
        """
        signed_in = user or await self._current(request)
        try:
            account = await self._find(signed_in.id)
            if account is None:
                raise SessionRevoked
        except Failure:
            ensure_handler(request.scope, strict=self._current.authenticator.strict)
            raise
        return account
