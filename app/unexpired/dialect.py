"""Maps another server's field names and error codes onto this library's own contract.

A dialect builds the requests of sign-in, refresh and sign-out as a server wants them, and
translates its responses into this library's contract. So the policy knows only that contract, and
listeners get the same codes from every server.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlencode

from unexpired.challenges import challenge_errors
from unexpired.messages import Headers, Request, Response, check_header
from unexpired.token_response import (
    BAD_CREDENTIALS,
    ENDINGS,
    EXPIRED,
    REFUSALS,
    SECOND_STEP,
    SUPERSEDED,
    is_outage,
)

Constants = Mapping[str, str | int | float]

_CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_CHOICES = {
    "encoding": tuple(_CONTENT_TYPES),
    "refresh_as": ("field", "bearer"),
    "logout_as": ("refresh_token", "access_token"),
    "bare_401": ("handed_back", "expired"),
}

# A request for tokens has these already, or must not have them.
_NO_TOKEN_HEADERS = {
    *("accept", "authorization", "content-length", "content-type", "cookie", "dpop"),
    *("idempotency-key", "origin"),
}

_INVALID_TOKEN = "invalid_token"  # noqa: S105 - a code
# A new token helps against none of these: RFC 6750, 3.1; RFC 9449, 7.1 and 9; RFC 9470, 3.
_NOT_FOR_REFRESH = {
    *("insufficient_scope", "invalid_request", "invalid_dpop_proof", "use_dpop_nonce"),
    "insufficient_user_authentication",
}

RULED_OUT = (
    "The password grant is ruled out by RFC 9700, section 2.4: the application sees the password,"
    " and a second factor or a passkey is not possible. Where the server offers it, use the"
    " authorization code grant with PKCE instead."
)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The field names and error codes of a server; by default this project's own.

    A name that is looked up in a response may be a path, such as ``data.token``. An empty name
    stands for what the server does not have.

    Attributes:
        access_token: The access token, in a response.
        refresh_token: The refresh token, in a response.
        expires_in: The seconds that the access token lives, in a response: a number, or a text of
            one. It takes precedence over a JWT's own times where they say otherwise.
        user: The user, an object in the response to a sign-in.
        token_type: The scheme of the access token, in a response: ``Bearer`` or ``DPoP``.
        id_token: The ID token of OpenID Connect, in a response.
        error_code: The machine-readable code, in an error response.
        message: A message for people, in an error response.
        username: The field of a sign-in that holds the username.
        password: The field of a sign-in that holds the password.
        refresh_field: The field of a refresh that holds the refresh token; empty: the last part of
            ``refresh_token``.
        attempt_field: The field of a refresh that holds its attempt, the id of this one refresh, by
            which the server repeats a result; empty: sent to this project's own server only.
        logout_field: The same field of a sign-out; empty: as for a refresh.
        encoding: How fields are sent: ``json`` or ``form``.
        refresh_as: How the refresh token is sent: as a ``field``, or as the ``bearer`` token.
        login_fields: Constant further fields of each sign-in.
        refresh_fields: Constant further fields of each refresh.
        logout_fields: Constant further fields of each sign-out.
        logout_as: What a sign-out presents: the ``refresh_token``, as a refresh does; or only the
            ``access_token``, as the bearer token.
        token_headers: Constant header fields of each sign-in, refresh and sign-out, such as a
            gateway's key, and of no other request. Of another origin, the server must allow them
            (CORS).
        expired: Codes of a 401 or 403 that mean: refresh, and try once more.
        ended: Codes of a 401 or 403 that mean: the session has ended.
        refused: Codes with which a refresh is refused for good, in a 400 or 401.
        refused_statuses: Statuses that refuse a refresh without any code, such as 401; never those
            that ask to try again later, and never with an HTML page, which is a captive portal's.
        refused_with: A name that a response must have for its status to refuse; empty: none.
        bad_credentials: Codes for a wrong username or password; empty: every 401 to a sign-in.
        second_step: Codes of a 4xx to a sign-in that ask for a second step, such as a one-time
            code. A successful response without an access token asks for one as well.
        bare_401: What a 401 without a known code means: it is ``handed_back``, or the token has
            ``expired``: refresh once, try once more, hand the second 401 back.
        dpop: Whether a sign-in brings a proof of possession (RFC 9449). To this project's own
            server it always does; another one that is of another origin than the page must allow
            the header ``DPoP`` (CORS).

    Raises:
        ValueError: If a value is not of the kind that its attribute needs.
    """

    access_token: str = "accessToken"  # noqa: S105 - a name
    refresh_token: str = "refreshToken"  # noqa: S105 - a name
    expires_in: str = "expiresIn"
    user: str = "user"
    token_type: str = "tokenType"  # noqa: S105 - a name
    id_token: str = ""
    error_code: str = "code"
    message: str = "error"
    username: str = "username"
    password: str = "password"  # noqa: S105 - a name
    refresh_field: str = ""
    attempt_field: str = ""
    logout_field: str = ""
    encoding: Literal["json", "form"] = "json"
    refresh_as: Literal["field", "bearer"] = "field"
    # Not in the repr: one may be a secret.
    login_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    refresh_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    logout_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    logout_as: Literal["refresh_token", "access_token"] = "refresh_token"
    # Not compared: behind a gateway that wants a key, our own server is our own server.
    token_headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    expired: frozenset[str] = frozenset({EXPIRED})
    ended: frozenset[str] = ENDINGS
    refused: frozenset[str] = REFUSALS
    refused_statuses: frozenset[int] = frozenset()
    refused_with: str = ""
    bad_credentials: frozenset[str] = frozenset()
    second_step: frozenset[str] = frozenset({SECOND_STEP})
    bare_401: Literal["handed_back", "expired"] = "handed_back"
    dpop: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for attribute in fields(self):
            kind = dict if attribute.default is MISSING else type(attribute.default)
            value = _checked(attribute.name, getattr(self, attribute.name), kind)
            object.__setattr__(self, attribute.name, value)

    @cached_property
    def is_own(self) -> bool:
        """Whether this is the dialect of this project's own server."""
        return self == Dialect()

    @property
    def sends_proofs(self) -> bool:
        """Whether a sign-in brings a proof of possession."""
        return self.dpop or self.is_own

    # -- Common servers ------------------------------------------------------------------------

    @classmethod
    def of(cls, value: object) -> Dialect:
        """Return a dialect unchanged, or the one that a table of its attributes describes.

        Raises:
            ValueError: If there is no such attribute, or a value is of the wrong kind.
        """
        if isinstance(value, Dialect):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("dialect is a Dialect or a table of its attributes")  # noqa: TRY004
        unknown = set(value) - {attribute.name for attribute in fields(cls)}
        if unknown:
            raise ValueError(f"dialect has no {', '.join(sorted(map(str, unknown)))}")
        return cls(**value)

    @classmethod
    def oauth(cls, client_id: str | None = None, *, dpop: bool = False) -> Dialect:
        """Return the dialect of an OAuth 2.0 token endpoint, for a first-party application.

        RFC 6749, sections 4.3 (password), 5 (responses) and 6 (refresh), with APIs that follow
        RFC 6750 or only respond with 401; sign-out as in RFC 7009. Only ``invalid_grant`` refuses.
        A sign-in gives a ``DeprecationWarning``: RFC 9700, section 2.4, rules the password grant
        out.

        Args:
            client_id: The application, if the server requires it.
            dpop: Whether the server binds tokens to keys (RFC 9449).
        """
        client = {} if client_id is None else {"client_id": client_id}
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            expires_in="expires_in",
            token_type="token_type",  # noqa: S106 - a name
            error_code="error",
            message="",  # `error_description` is for developers.
            logout_field="token",
            encoding="form",
            login_fields={"grant_type": "password", **client},
            refresh_fields={"grant_type": "refresh_token", **client},
            logout_fields={"token_type_hint": "refresh_token", **client},
            expired=frozenset({_INVALID_TOKEN}),
            ended=frozenset(),
            refused=frozenset({"invalid_grant"}),
            bad_credentials=frozenset({"invalid_grant"}),
            second_step=frozenset({"mfa_required"}),  # Of Auth0 and Okta; OAuth itself has none.
            bare_401="expired",
            dpop=dpop,
        )

    @classmethod
    def bearer(cls) -> Dialect:
        """Return the dialect of an API that takes the tokens of an identity provider.

        It has this project's own codes, as its server and ``JWKSVerifier`` send them, and those of
        RFC 6750; any other 401 counts as an expired token.
        """
        return cls(expired=frozenset({EXPIRED, _INVALID_TOKEN}), bare_401="expired")

    @classmethod
    def supabase(cls, api_key: str) -> Dialect:
        """Return the dialect of Supabase Auth, with the username as the email address.

        Sources: its API (https://github.com/supabase/auth/blob/master/openapi.yaml) and its codes
        (https://supabase.com/docs/guides/auth/debugging/error-codes). Its data API has codes of its
        own, and says 401 for an expired token.

        Args:
            api_key: The project's publishable key (or ``anon`` key), which each request needs.
                It is public; a secret key must never reach a browser.
        """
        over = {"session_expired", "session_not_found", "user_banned"}
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            expires_in="expires_in",
            token_type="token_type",  # noqa: S106 - a name
            error_code="error_code",
            message="msg",
            username="email",
            logout_as="access_token",
            token_headers={"apikey": api_key},
            expired=frozenset({"bad_jwt"}),
            ended=frozenset(over),
            refused=frozenset({*over, "refresh_token_not_found", "refresh_token_already_used"}),
            bad_credentials=frozenset({"invalid_credentials"}),
            second_step=frozenset(),
            bare_401="expired",
        )

    @classmethod
    def simplejwt(cls) -> Dialect:
        """Return the dialect of djangorestframework-simplejwt's own views.

        A refresh for a user who was disabled is refused without a code, but with a ``detail``.
        """
        return cls(
            access_token="access",  # noqa: S106 - a name
            refresh_token="refresh",  # noqa: S106 - a name
            message="detail",
            expired=frozenset({"token_not_valid"}),
            ended=frozenset({"user_inactive", "user_not_found", "password_changed"}),
            refused=frozenset({"token_not_valid"}),
            refused_statuses=frozenset({401}),
            refused_with="detail",
        )

    @classmethod
    def flask_jwt_extended(cls) -> Dialect:
        """Return the dialect of Flask-JWT-Extended with its default errors.

        It has no codes: 401 means that a token has expired, is missing or was revoked, 422 that it
        is not a token of this server.
        """
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            error_code="",
            message="msg",
            refresh_as="bearer",
            expired=frozenset(),
            ended=frozenset(),
            refused=frozenset(),
            refused_statuses=frozenset({401, 422}),
            bare_401="expired",
        )

    @classmethod
    def fastapi_users(cls) -> Dialect:
        """Return the dialect of fastapi-users with its bearer transport.

        It has no refresh tokens: when the access token expires, the person signs in again. A 401
        tells no reason: the token has expired, or the user was disabled or deleted.
        """
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="",
            expires_in="",
            user="",
            error_code="detail",
            message="detail",
            encoding="form",
            expired=frozenset(),
            ended=frozenset(),
            refused=frozenset(),
            bad_credentials=frozenset({"LOGIN_BAD_CREDENTIALS"}),
            bare_401="expired",
        )

    @classmethod
    def article(cls) -> Dialect:
        """Return the dialect of the Express server with jsonwebtoken that articles show.

        It has the codes of this project for access tokens: 401 ``TOKEN_EXPIRED``, 403
        ``INVALID_TOKEN``. A refresh is refused by a bare 401 or 403, or by 403 ``INVALID_TOKEN``.
        """
        return cls(
            refused=REFUSALS | {EXPIRED, "INVALID_TOKEN"},
            refused_statuses=frozenset({401, 403}),
        )

    # -- Requests ------------------------------------------------------------------------------

    def sign_in_request(
        self, url: str, username: str, password: str, further: Mapping[str, Any] | None = None
    ) -> Request:
        """Return the request that exchanges a username and a password for tokens.

        Args:
            url: Where to sign in.
            username: The person's name.
            password: The person's password.
            further: Further fields of the body.

        Raises:
            TypeError: If a further field is one that the dialect sends itself, or has a value that
                cannot be sent; it names the field and never shows its value.
        """
        if self.login_fields.get("grant_type") == "password":
            warnings.warn(RULED_OUT, DeprecationWarning, stacklevel=2)
        own = {**self.login_fields, self.username: username, self.password: password}
        for name, value in (further or {}).items():
            self._check_field(name, value, own)
        return self.request(url, {**(further or {}), **own})

    def _check_field(self, name: str, value: Any, own: Constants) -> None:
        if name in own:
            raise TypeError(f"sign_in: the dialect sends the field {name} itself")
        if self.encoding == "form" and not isinstance(value, str | int | float):
            raise TypeError(f"sign_in: the field {name} is a text, a number or a boolean")
        if not _is_json(value):
            raise TypeError(f"sign_in: the field {name} is not a JSON value")

    def refresh_request(self, url: str, token: str | None, attempt: str | None = None) -> Request:
        """Return the request that exchanges a refresh token, if there is one, for new tokens."""
        further = self.refresh_fields
        if attempt is not None and self.sends_attempts:
            further = {**further, self._attempt_field: attempt}
        return self._request_with(token, self._refresh_field, url, further)

    @property
    def sends_attempts(self) -> bool:
        """Whether the server takes attempts: other servers may refuse what they do not know."""
        return bool(self._attempt_field)

    @property
    def _attempt_field(self) -> str:
        return self.attempt_field or ("attempt" if self.is_own else "")

    def sign_out_request(self, url: str, token: str | None, access_token: str = "") -> Request:
        """Return the request that revokes a session; it outlives the page.

        Args:
            url: Where sessions are revoked.
            token: The refresh token, or None if there is none.
            access_token: The session's access token, which is sent as the bearer in its place, or
                where the server wants that one.
        """
        token = None if self.logout_as == "access_token" else token
        name = self.logout_field or self._refresh_field
        request = self._request_with(token, name, url, self.logout_fields)
        if token is None and access_token:
            request = request.with_header("authorization", f"Bearer {access_token}")
        return replace(request, keepalive=True)

    @property
    def _refresh_field(self) -> str:
        return self.refresh_field or self.refresh_token.rpartition(".")[2]

    def _request_with(self, token: str | None, name: str, url: str, further: Constants) -> Request:
        if token is None:
            return self.request(url, further)
        if self.refresh_as == "bearer":
            return self.request(url, further).with_header("authorization", f"Bearer {token}")
        return self.request(url, {**further, name: token})

    def request(self, url: str, values: Mapping[str, Any]) -> Request:
        """Return a request for tokens with these fields of its body."""
        headers = Headers(
            {
                **self.token_headers,
                "content-type": _CONTENT_TYPES[self.encoding],
                "accept": "application/json",
            }
        )
        text = json.dumps(values) if self.encoding == "json" else urlencode(_texts(values))
        return Request("POST", url, headers, text.encode(), sensitive=True)

    # -- Responses -----------------------------------------------------------------------------

    def named(self, response: Response) -> Response:
        """Return the response as it is, which knows the names of its error's code and message."""
        if (response.code_field, response.message_field) == (self.error_code, self.message):
            return response
        return replace(response, code_field=self.error_code, message_field=self.message)

    def read_response(self, response: Response) -> Response:
        """Return the response with its error code translated to ours, if it has one."""
        return self._translated(response, self._meaning(response))

    def read_refresh(self, response: Response) -> Response:
        """Return the response to a refresh, with our code if it is a refusal."""
        code = self.named(response).code
        refusal = code if code in REFUSALS else "REFRESH_INVALID"
        if self._is_refused_by_status(response):
            return self._translated(response, refusal, status=401)
        if code == SUPERSEDED and self.sends_attempts:
            return self._translated(response, SUPERSEDED)
        return self._translated(response, refusal if code in self.refused else None)

    def read_sign_in(self, response: Response) -> Response:
        """Return the response to a sign-in; wrong credentials become a 401 with our code."""
        code, status = self.named(response).code, response.status_code
        is_bare = status == 401 and (code is None or not self.bad_credentials)  # noqa: PLR2004
        if is_bare or (_is_final(status) and code in self.bad_credentials):
            return self._translated(response, BAD_CREDENTIALS, status=401)
        return self._translated(response, code)

    def asks_for_second_step(self, response: Response) -> bool:
        """Return whether the response to a sign-in asks for a second step."""
        if response.is_success:
            is_without = not response.value_at(self.access_token)
            return is_without and bool(response.fields) and not is_page(response)
        return _is_final(response.status_code) and self.named(response).code in self.second_step

    def _meaning(self, response: Response) -> str | None:
        challenges = challenge_errors(response)
        codes = {self.named(response).code, *challenges}
        for code in codes & self.ended:
            return code if code in ENDINGS else "SESSION_REVOKED"
        is_bare = response.status_code == 401 and not challenges & _NOT_FOR_REFRESH  # noqa: PLR2004
        if codes & self.expired or (is_bare and self.bare_401 == "expired"):
            return EXPIRED
        # To HEAD, for one, there is no body that could tell more. A refresh is always safe.
        is_only_challenged = not response.content and _INVALID_TOKEN in challenges
        return EXPIRED if is_only_challenged else None

    def _is_refused_by_status(self, response: Response) -> bool:
        if response.status_code not in self.refused_statuses or is_page(response):
            return False
        return not self.refused_with or response.value_at(self.refused_with) is not None

    def _translated(
        self, response: Response, code: str | None, *, status: int | None = None
    ) -> Response:
        translated = {
            "accessToken": response.value_at(self.access_token),
            "refreshToken": response.value_at(self.refresh_token),
            "expiresIn": response.value_at(self.expires_in),
            "user": response.value_at(self.user),
            "tokenType": response.value_at(self.token_type),
            "idToken": response.value_at(self.id_token),
            "bound": self.is_own and response.fields.get("bound"),
            "nonce": self.is_own and response.fields.get("nonce"),
            "error": self.named(response).message,
            "code": code,
        }
        return replace(
            response,
            status_code=status or response.status_code,
            content=json.dumps(translated).encode(),
            code_field="code",
            message_field="error",
        )


def response_with(tokens: object) -> Response:
    """Return tokens that an application got as a response that has them.

    Raises:
        TypeError: If it is not a mapping.
        ValueError: If it has a value that is not of JSON.
    """
    if not isinstance(tokens, Mapping):
        raise TypeError("adopt takes a Response of this library, or a mapping such as its JSON")
    values = {str(name): value for name, value in tokens.items()}
    if not _is_json(values):
        raise ValueError("adopt: the mapping has a value that is not of JSON")
    return Response(200, content=json.dumps(values).encode())


def _is_final(status: int) -> bool:
    return status // 100 == 4 and not is_outage(status)  # noqa: PLR2004 - RFC 9110, 15.5


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a form; a boolean is written as in JSON."""
    return {
        name: json.dumps(value) if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }


def is_page(response: Response) -> bool:
    """Return whether a response is an HTML page, as of a front end or a captive portal."""
    return "html" in response.headers.get("content-type", "").lower()


def _checked(name: str, value: Any, kind: type) -> Any:
    if kind is frozenset:
        return _statuses(name, value) if name == "refused_statuses" else _codes(name, value)
    if kind is dict:
        return _headers(value) if name == "token_headers" else _constants(name, value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is bool or not isinstance(value, str):
        raise ValueError(f"dialect: {name} is {'True or False' if kind is bool else 'a text'}")
    if value not in _CHOICES.get(name, {value}):
        raise ValueError(f"dialect: {name} is one of: {', '.join(_CHOICES[name])}")
    return value


def _codes(name: str, value: Any) -> frozenset[str]:
    if not _is_list_of(str, value):
        raise ValueError(f"dialect: {name} is a list of codes")
    return frozenset(value)


def _statuses(name: str, value: Any) -> frozenset[int]:
    if not _is_list_of(int, value) or not all(map(_is_final, value)):
        raise ValueError(f"dialect: {name} is a list of 4xx that refuse for good, such as [401]")
    return frozenset(value)


def _constants(name: str, value: Any) -> Constants:
    is_table = isinstance(value, Mapping) and _is_list_of(str, [*value])
    if not is_table or not _is_list_of(str | int | float, [*value.values()]):
        raise ValueError(f"dialect: {name} is a table of texts and numbers")
    return dict(value)


def _headers(value: Any) -> Mapping[str, str]:
    is_table = isinstance(value, Mapping) and _is_list_of(str, [*value, *value.values()])
    if not is_table:
        raise ValueError("dialect: token_headers is a table of texts")
    for header, text in value.items():
        check_header(header, text)
        if header.lower() in _NO_TOKEN_HEADERS:
            raise ValueError(f"dialect: token_headers: {header} is set for each request")
    return dict(value)


def _is_list_of(kind: Any, value: Any) -> bool:
    is_list = isinstance(value, list | tuple | set | frozenset)
    return is_list and all(isinstance(one, kind) for one in value)
