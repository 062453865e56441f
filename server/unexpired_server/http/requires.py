"""``@requires`` for the endpoints of Starlette applications."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from starlette.authentication import AuthCredentials
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import Scope

from unexpired_server.http.current_user import CurrentUser, RequiredScopes
from unexpired_server.scopes import checked_scopes
from unexpired_server.sessions.user import User

SIGNED_IN = "authenticated"
"""Starlette's own scope for everybody who is signed in."""

ARGUMENTS = ("request", "websocket")

_INSTALLED = "unexpired_user"
"""On the router of an application: the one of its objects that a mounted application sees too."""

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def requires(*scopes: str) -> Callable[[Endpoint], Endpoint]:
    """Let only signed-in users call an endpoint of Starlette, by the ``Auth`` of the application.

    The endpoint is a function, sync or async, or a method of an ``HTTPEndpoint`` or a
    ``WebSocketEndpoint``, with an argument ``request`` or ``websocket``. It finds the user as
    ``request.user``, and the user's scopes in ``request.auth.scopes``. ``Auth.install`` must have
    been called with the application, or with the one that it is mounted in.

    Args:
        *scopes: All of them are needed; without any, every user may call it.

    Raises:
        ValueError: One is not a scope (RFC 6749, section 3.3).
        TypeError: It is used without parentheses, or the endpoint has no such argument.
    """
    if scopes and callable(scopes[0]):
        raise TypeError("write @requires() with parentheses")
    needed = checked_scopes(scopes)

    def decorate(endpoint: Endpoint) -> Endpoint:
        place, name = _argument_of(endpoint)
        is_async = inspect.iscoroutinefunction(endpoint)

        @wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection = kwargs[name] if name in kwargs else args[place]
            await _sign_in(connection, needed)
            if is_async:
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def install_user(router: object, user: CurrentUser) -> None:
    """Have ``@requires`` find who is signed in, in the application with this router.

    Raises:
        RuntimeError: The application has been given one before.
    """
    if hasattr(router, _INSTALLED):
        raise RuntimeError("install() was called with this application before")
    setattr(router, _INSTALLED, user)


async def _sign_in(connection: HTTPConnection, needed: frozenset[str]) -> None:
    find = RequiredScopes(_installed_user(connection.scope), needed)
    user = await find(connection)
    connection.scope.update(user=user, auth=credentials_of(user))


def credentials_of(user: User) -> AuthCredentials:
    """Return what ``request.auth`` is for a user."""
    return AuthCredentials([SIGNED_IN, *sorted(user.scopes)])


def _installed_user(scope: Scope) -> CurrentUser:
    # The nearest application, else the outermost, whose router it is.
    for router in (getattr(scope.get("app"), "router", None), scope.get("router")):
        user = getattr(router, _INSTALLED, None)
        if isinstance(user, CurrentUser):
            return user
    raise RuntimeError(
        "@requires needs auth.install(app), of this application or of the one that it is mounted in"
    )


def _argument_of(endpoint: Callable[..., Any]) -> tuple[int, str]:
    if inspect.isclass(endpoint):
        raise TypeError(f"@requires belongs on a method of {endpoint.__name__}, such as get")
    for place, name in enumerate(inspect.signature(endpoint).parameters):
        if name in ARGUMENTS:
            return place, name
    raise TypeError(f"{endpoint.__name__}() needs an argument request or websocket for @requires")
