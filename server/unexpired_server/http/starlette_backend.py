"""Access tokens in other Starlette and FastAPI applications.

``@requires`` raises Starlette's own ``HTTPException``, which stays the application's;
``await service.bearer.authenticate(request)`` raises our failures.

With Starlette's own AuthenticationMiddleware, ``@requires("authenticated")`` and ``request.user``
work as they do with any backend::

    service = Service(Settings())
    app = Starlette(
        routes=[*service.routes(), *yours],
        lifespan=lambda app: service.running(),
        middleware=[
            Middleware(AuthenticationMiddleware, backend=BearerBackend(service.bearer),
                       on_error=on_bearer_error),
        ],
        exception_handlers=failure_handlers(strict=False),
    )
"""

from __future__ import annotations

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
)
from starlette.requests import HTTPConnection
from starlette.responses import Response

from unexpired_server.errors import Failure, TokenInvalid, TokenMissing
from unexpired_server.http.bearer import BearerAuthenticator
from unexpired_server.http.responses import error_response


class SignedInUser(BaseUser):
    """The user of a request, as ``request.user``.

    Args:
        user_id: The user's id, which is also the ``identity``.
        session_id: The session of the access token.
    """

    def __init__(self, user_id: str, session_id: str) -> None:
        self.user_id = user_id
        self.session_id = session_id

    @property
    def is_authenticated(self) -> bool:
        """Always true; other requests have Starlette's UnauthenticatedUser."""
        return True

    @property
    def display_name(self) -> str:
        """The id, because access tokens hold no name."""
        return self.user_id

    @property
    def identity(self) -> str:
        """The id."""
        return self.user_id


class BearerError(AuthenticationError):
    """The token of a request was refused.

    Args:
        failure: Why.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """

    def __init__(self, failure: Failure, *, strict: bool) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.strict = strict


class BearerBackend(AuthenticationBackend):
    """Authenticates requests by our access tokens.

    Args:
        bearer: The service's authenticator.
    """

    def __init__(self, bearer: BearerAuthenticator) -> None:
        self._bearer = bearer

    async def authenticate(
        self, conn: HTTPConnection
    ) -> tuple[AuthCredentials, SignedInUser] | None:
        """Return the user; None without a token, so that routes can be public.

        Raises:
            AuthenticationError: The token is not valid, or the service does not run; the cause
                says why.
        """
        try:
            claims = await self._bearer.authenticate(conn)
        except TokenMissing:
            return None
        except Failure as failure:
            raise BearerError(failure, strict=self._bearer.strict) from failure
        user = SignedInUser(claims.user_id, claims.session_id)
        return AuthCredentials(["authenticated"]), user


def on_bearer_error(conn: HTTPConnection, exc: AuthenticationError) -> Response:
    """Answer an invalid token as our own routes do; the middleware's ``on_error``."""
    if isinstance(exc, BearerError):
        return error_response(exc.failure, strict=exc.strict, scope=conn.scope)
    return error_response(TokenInvalid(), scope=conn.scope)
