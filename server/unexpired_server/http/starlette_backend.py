"""Our access tokens in other people's Starlette and FastAPI applications.

With Starlette's own AuthenticationMiddleware, `@requires("authenticated")` and `request.user`
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

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
)
from starlette.requests import HTTPConnection
from starlette.responses import Response

from unexpired_server.errors import Challenge, TokenInvalid, TokenMissing
from unexpired_server.http.bearer import BearerAuthenticator
from unexpired_server.http.responses import error_response


class SignedInUser(BaseUser):
    """Who is asking, as `request.user`.

    Args:
        user_id: The user's id, which is also the `identity`.
        session_id: Of the session that the token belongs to.
    """

    def __init__(self, user_id: str, session_id: str) -> None:
        self.user_id = user_id
        self.session_id = session_id

    @property
    def is_authenticated(self) -> bool:
        """True: whoever is not is Starlette's UnauthenticatedUser."""
        return True

    @property
    def display_name(self) -> str:
        """The id; names are the business of whoever shows them."""
        return self.user_id

    @property
    def identity(self) -> str:
        """The id."""
        return self.user_id


class BearerBackend(AuthenticationBackend):
    """Authenticates requests by our access tokens.

    Args:
        bearer: Of the service that issues them.
    """

    def __init__(self, bearer: BearerAuthenticator) -> None:
        self._bearer = bearer

    async def authenticate(
        self, conn: HTTPConnection
    ) -> tuple[AuthCredentials, SignedInUser] | None:
        """Find out who is asking; None when there is no token, and routes may still be public.

        Raises:
            AuthenticationError: There is a token, and it is no good; the cause says why.
        """
        try:
            claims = self._bearer.authenticate(conn)
        except TokenMissing:
            return None
        except Challenge as problem:
            raise AuthenticationError(problem.code) from problem
        user = SignedInUser(claims.user_id, claims.session_id)
        return AuthCredentials(["authenticated"]), user


def on_bearer_error(_conn: HTTPConnection, exc: AuthenticationError) -> Response:
    """Answer a bad token as our own routes do; the middleware's `on_error`."""
    problem = exc.__cause__
    return error_response(problem if isinstance(problem, Challenge) else TokenInvalid())
