"""The refresh token in a cookie, which no script of the page can read.

A browser sends a cookie by itself, so another page could use it by making the browser send a
request (cross-site request forgery). This stands against it:

* ``SameSite=Strict``: a request from another site does not carry the cookie.
* A subdomain, or another port, is the same site. So wherever the cookie is used or set, ``Origin``
  must be the server's own or one of the setting ``cors_origins``. Browsers send it with each POST,
  and no page can change it. A program has no ``Origin``, and needs no cookie.
* A body must be JSON, which no form can send, and fetch to another origin only where CORS allows.
* ``__Host-``: no subdomain can set the cookie, nor a page of http (RFC 6265bis, section 4.1.3.2).

The last one is about a sign-in, too: nobody signs a browser in as somebody else by a cookie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from unexpired_server.errors import BadRequest, RefreshInvalid, Unavailable
from unexpired_server.http.bearer import address_of
from unexpired_server.http.failure_response import NO_STORE
from unexpired_server.http.responses import error_response
from unexpired_server.ops.advice import Advice
from unexpired_server.sessions.sessions import Sessions, SessionTokens
from unexpired_server.tokens.proof_urls import DEFAULT_PORTS

NAME = "__Host-unexpired"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"
CLEARED: str = f"{NAME}=; {ATTRIBUTES}; Max-Age=0"

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

OFF = "cookie: This server sets no cookies: its setting cookies is off."
FOREIGN = "This origin may not use the session's cookie."
DOUBLED = "The refresh token is in the body and in a cookie, so it is not clear which one counts."
MISSING = "The request has no refresh token, neither in its body nor in a cookie."
REQUIRED = "refreshToken: Field required."

ADVICE = (
    "A sign-in or a refresh with a cookie was refused, because of the Origin of its page. If the "
    "page is this server's own, the setting public_url must be the URL that browsers use, with "
    "https; pages of other origins are named in the setting cors_origins."
)


class SessionCookie:
    """Reads, sets and clears the cookie with the refresh token.

    Args:
        is_on: Whether the server sets cookies; else it reads none either.
        public_url: The URL that clients use for the server; the requests' ``Host`` when None.
        origins: Other origins whose pages may use the cookie.
    """

    def __init__(self, *, is_on: bool, public_url: str | None, origins: Iterable[str]) -> None:
        self._is_on = is_on
        self._public_origin = _origin_of(public_url) if public_url else None
        self._origins = frozenset(map(_origin_of, origins))
        self._advice = Advice()

    def check_sign_in(self, request: Request, *, is_wanted: bool) -> None:
        """Check, before anything is done, that a sign-in may have the cookie that it wants.

        Raises:
            BadRequest: The server sets none, or none for pages of this origin.
        """
        if is_wanted:
            if not self._is_on:
                raise BadRequest(OFF)
            self._check_origin(request)

    def refuse_doubled(self, request: Request, in_body: object) -> Response | None:
        """Return the response to a request with a token in its body and in a cookie, if it is one.

        It clears the cookie: a page that stores its tokens itself, and comes after one that had
        the cookie, would be refused again and again.

        Raises:
            BadRequest: Pages of this origin may not use the cookie.
        """
        if in_body is None or not self._values(request):
            return None
        self._check_origin(request)
        return self._with(CLEARED, error_response(BadRequest(DOUBLED)))

    def token_of(self, request: Request, in_body: str | None) -> tuple[str, bool]:
        """Return the refresh token of a request, and whether it is from the cookie.

        Raises:
            BadRequest: There is none, or pages of this origin may not use the cookie.
            RefreshInvalid: The cookie was lost, or is from before the setting was turned off.
        """
        if in_body is not None:
            return in_body, False
        if not self._is_on and not _values(request):
            raise BadRequest(REQUIRED)
        tokens = self.tokens_of(request)
        if not tokens:
            raise RefreshInvalid(MISSING)
        # Several of one name are not from this server: it is not clear which one counts.
        return tokens[0] if len(tokens) == 1 else "", True

    def tokens_of(self, request: Request) -> list[str]:
        """Return the refresh tokens in the cookies of a request, of which there should be one.

        Raises:
            BadRequest: Pages of this origin may not use the cookie.
        """
        if tokens := self._values(request):
            self._check_origin(request)
        return tokens

    async def end_replaced(self, request: Request, sessions: Sessions) -> None:
        """End the session of a cookie that a sign-in replaces or clears: nobody can refresh it."""
        for token in self._values(request) if self._is_allowed(request) else ():
            if claims := sessions.read_refresh_token(token):
                with suppress(Unavailable):  # It ends when the database responds.
                    await sessions.sign_out(claims.session_id, address_of(request))

    def answer(
        self,
        request: Request,
        tokens: SessionTokens,
        respond: Callable[[SessionTokens], Response],
        *,
        in_cookie: bool,
    ) -> Response:
        """Return the response with a session's tokens.

        Args:
            request: The request.
            tokens: The tokens.
            respond: Returns the response with the tokens that it may have.
            in_cookie: Whether the refresh token is for the cookie, and not for the body.
        """
        if in_cookie:
            return self.put(tokens, respond(without_refresh(tokens)))
        response = respond(tokens)
        return self.clear(request, response) if self._values(request) else response

    def put(self, tokens: SessionTokens, response: Response) -> Response:
        """Set the cookie on a response, and return it."""
        if tokens.refresh_token is None:
            return response
        lifetime = f"Max-Age={tokens.refresh_expires_in}"
        return self._with(f"{NAME}={tokens.refresh_token}; {ATTRIBUTES}; {lifetime}", response)

    def clear(self, request: Request, response: Response) -> Response:
        """Clear the cookie, unless it is not the page's to clear; return the response."""
        if self._is_on and self._is_allowed(request):
            return self._with(CLEARED, response)
        return response

    def _with(self, cookie: str, response: Response) -> Response:
        response.headers.append("Set-Cookie", cookie)
        response.headers.update(NO_STORE)
        return response

    def _values(self, request: Request) -> list[str]:
        return _values(request) if self._is_on else []

    def _check_origin(self, request: Request) -> None:
        if self._is_allowed(request):
            return
        self._advice.give(ADVICE)
        raise BadRequest(FOREIGN)

    def _is_allowed(self, request: Request) -> bool:
        given = request.headers.getlist("origin")
        if len(given) != 1:
            return False
        return given[0] in self._origins or given[0] == self._own_origin(request, given[0])

    def _own_origin(self, request: Request, origin: str) -> str:
        """Return the server's own origin, as the page's browser would write it.

        Without ``public_url`` the scheme is unknown behind a proxy. It is https, because no other
        page has the cookie: a page of http, which anybody on the network can change, is let in on
        this machine only.
        """
        if self._public_origin is not None:
            return self._public_origin
        host = request.headers.get("host", "").lower()
        is_local = _without_port(host) in LOOPBACK
        scheme = "http" if is_local and origin.startswith("http:") else "https"
        return _origin(scheme, host)


def _values(request: Request) -> list[str]:
    """Return the different values of our cookie; other people's cookies are not looked at."""
    found = (value for name, value in cookies_of(request) if name == NAME and value)
    return list(dict.fromkeys(found))


def cookies_of(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the names and values of a request's cookies (RFC 6265, section 4.2.1)."""
    for pair in ";".join(request.headers.getlist("cookie")).split(";"):
        name, _, value = pair.strip().partition("=")
        yield name, value


def without_refresh(tokens: SessionTokens) -> SessionTokens:
    """Return the tokens that a page may see while the cookie has the refresh token."""
    return replace(tokens, refresh_token=None)


def _origin_of(url: str) -> str:
    """Return the origin of a setting's URL, as browsers write it."""
    parts = urlsplit(url)
    return _origin(parts.scheme, parts.netloc.lower())


def _origin(scheme: str, host: str) -> str:
    return f"{scheme}://{host.removesuffix(f':{DEFAULT_PORTS[scheme]}')}"


def _without_port(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host
