"""What other servers call the same things: the one place that knows names other than our own.

A dialect writes the requests of sign-in, refresh and sign-out as a server wants them, and tells its
replies again in the words of this library's own contract. So the policy knows that contract alone,
and listeners hear the same codes whichever server there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal
from urllib.parse import urlencode

from unexpired.messages import Headers, Request, Response
from unexpired.token_response import BAD_CREDENTIALS, ENDINGS, EXPIRED, REFUSALS

Constants = Mapping[str, str | int | float]

_KINDS = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_CHOICES = {
    "encoding": tuple(_KINDS),
    "refresh_as": ("field", "bearer"),
    "bare_401": ("handed_back", "expired"),
}
_TRANSIENT = {408, 425, 429}  # They ask to come back later, which no refusal does.

# RFC 6750, section 3: `Bearer realm="…", error="invalid_token"`.
_CHALLENGE = re.compile(r'\bbearer\b.*?\berror\s*=\s*"?([a-z_]+)', re.IGNORECASE)
# RFC 6750, section 3.1: of these a new token cures none.
_INCURABLE = {"insufficient_scope", "invalid_request"}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a server speaks; by default as this project's own does.

    A name that is looked up in a reply may be a path, such as ``data.token``. An empty name stands
    for what the server does not have.

    Attributes:
        access_token: the access token, in a reply.
        refresh_token: the refresh token, in a reply.
        expires_in: the seconds that the access token lives, in a reply; a JWT's own times come
            first.
        user: who it is, an object in the reply to a sign-in.
        error_code: the machine-readable code, in the reply that is an error.
        sentence: a sentence for people, in the reply that is an error.
        username: the field of a sign-in that holds the name.
        password: the field of a sign-in that holds the password.
        refresh_field: the field of a refresh that holds the refresh token; empty: the last part of
            ``refresh_token``.
        logout_field: the same field of a sign-out; empty: as for a refresh.
        encoding: how fields are sent: ``json`` or ``form``.
        refresh_as: how the refresh token is presented: as a ``field``, or as the ``bearer`` token.
        login_fields: further fields of each sign-in, which stay the same.
        refresh_fields: further fields of each refresh.
        logout_fields: further fields of each sign-out.
        expired: codes of a 401 or 403 that mean: refresh, and try once more.
        ended: codes of a 401 or 403 that mean: the session is over.
        refused: codes with which a refresh is refused for good, in a 400 or 401.
        refused_statuses: statuses that refuse a refresh without any code, such as 401; never those
            that ask to come back later, and never an HTML page, which is a portal's.
        bad_credentials: codes for a wrong name or password; empty: every 401 to a sign-in means it.
        bare_401: what a 401 without a known code means: it is ``handed_back``, or the token has
            ``expired``: refresh once, try once more, hand the second back.

    Raises:
        ValueError: if a value is not of the kind that its attribute needs.
    """

    access_token: str = "accessToken"  # noqa: S105 - a name
    refresh_token: str = "refreshToken"  # noqa: S105 - a name
    expires_in: str = "expiresIn"
    user: str = "user"
    error_code: str = "code"
    sentence: str = "error"
    username: str = "username"
    password: str = "password"  # noqa: S105 - a name
    refresh_field: str = ""
    logout_field: str = ""
    encoding: Literal["json", "form"] = "json"
    refresh_as: Literal["field", "bearer"] = "field"
    # Not shown: one may be a secret.
    login_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    refresh_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    logout_fields: Constants = field(default_factory=dict, repr=False, hash=False)
    expired: frozenset[str] = frozenset({EXPIRED})
    ended: frozenset[str] = ENDINGS
    refused: frozenset[str] = REFUSALS
    refused_statuses: frozenset[int] = frozenset()
    bad_credentials: frozenset[str] = frozenset()
    bare_401: Literal["handed_back", "expired"] = "handed_back"

    def __post_init__(self) -> None:
        for attribute in fields(self):
            kind = dict if attribute.default is MISSING else type(attribute.default)
            value = _checked(attribute.name, getattr(self, attribute.name), kind)
            object.__setattr__(self, attribute.name, value)

    # -- Servers that are met often ------------------------------------------------------------

    @classmethod
    def of(cls, value: object) -> Dialect:
        """Return a dialect as it is, or the one that a table of its attributes describes.

        Raises:
            ValueError: if there is no such attribute, or a value is of the wrong kind.
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
    def oauth(cls, client_id: str | None = None) -> Dialect:
        """Return the dialect of an OAuth 2.0 token endpoint, for a first-party application.

        RFC 6749, sections 4.3 (password), 5 (replies) and 6 (refresh), with APIs that follow
        RFC 6750 or answer 401 alone; sign-out as RFC 7009. Only ``invalid_grant`` refuses.

        Args:
            client_id: the application, where the server wants it named.
        """
        client = {} if client_id is None else {"client_id": client_id}
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            expires_in="expires_in",
            error_code="error",
            sentence="",  # `error_description` is for developers.
            logout_field="token",
            encoding="form",
            login_fields={"grant_type": "password", **client},
            refresh_fields={"grant_type": "refresh_token", **client},
            logout_fields={"token_type_hint": "refresh_token", **client},
            expired=frozenset({"invalid_token"}),
            ended=frozenset(),
            refused=frozenset({"invalid_grant"}),
            bad_credentials=frozenset({"invalid_grant"}),
            bare_401="expired",
        )

    @classmethod
    def simplejwt(cls) -> Dialect:
        """Return the dialect of djangorestframework-simplejwt's own views."""
        return cls(
            access_token="access",  # noqa: S106 - a name
            refresh_token="refresh",  # noqa: S106 - a name
            sentence="detail",
            expired=frozenset({"token_not_valid"}),
            ended=frozenset({"user_inactive", "user_not_found", "password_changed"}),
            refused=frozenset({"token_not_valid"}),
        )

    @classmethod
    def flask_jwt_extended(cls) -> Dialect:
        """Return the dialect of Flask-JWT-Extended, its errors as they are by default.

        It has no codes: 401 says that a token has expired, is missing or was revoked, 422 that it
        is no token of this server.
        """
        return cls(
            access_token="access_token",  # noqa: S106 - a name
            refresh_token="refresh_token",  # noqa: S106 - a name
            error_code="",
            sentence="msg",
            refresh_as="bearer",
            expired=frozenset(),
            ended=frozenset(),
            refused=frozenset(),
            refused_statuses=frozenset({401, 422}),
            bare_401="expired",
        )

    # -- Requests as the server wants them -----------------------------------------------------

    def sign_in_request(self, url: str, username: str, password: str) -> Request:
        """Return the request that exchanges a name and a password for tokens."""
        return self._request(
            url, {**self.login_fields, self.username: username, self.password: password}
        )

    def refresh_request(self, url: str, token: str | None) -> Request:
        """Return the request that exchanges a refresh token, if there is one, for new tokens."""
        return self._presenting(token, self._refresh_field, url, self.refresh_fields)

    def sign_out_request(self, url: str, token: str) -> Request:
        """Return the request that revokes a session; it outlives the page."""
        name = self.logout_field or self._refresh_field
        return replace(self._presenting(token, name, url, self.logout_fields), keepalive=True)

    @property
    def _refresh_field(self) -> str:
        return self.refresh_field or self.refresh_token.rpartition(".")[2]

    def _presenting(self, token: str | None, name: str, url: str, further: Constants) -> Request:
        if token is None:
            return self._request(url, further)
        if self.refresh_as == "bearer":
            return self._request(url, further).with_header("authorization", f"Bearer {token}")
        return self._request(url, {**further, name: token})

    def _request(self, url: str, values: Constants) -> Request:
        headers = Headers({"content-type": _KINDS[self.encoding], "accept": "application/json"})
        text = json.dumps(values) if self.encoding == "json" else urlencode(values)
        return Request("POST", url, headers, text.encode(), sensitive=True)

    # -- Replies in our words ------------------------------------------------------------------

    def read_answer(self, response: Response) -> Response:
        """Return the answer to a call with our code for what it means, or none."""
        return self._told(response, self._meaning(response))

    def read_refresh(self, response: Response) -> Response:
        """Return the reply to a refresh, with a refusal's code only where it is one."""
        code = self._code(response)
        if response.status_code in self.refused_statuses and not _is_page(response):
            return self._told(response, code if code in REFUSALS else "REFRESH_INVALID", status=401)
        if code in self.refused:
            return self._told(response, code if code in REFUSALS else "REFRESH_INVALID")
        return self._told(response, None)

    def read_sign_in(self, response: Response) -> Response:
        """Return the reply to a sign-in, where wrong credentials are a 401 of that code."""
        code, status = self._code(response), response.status_code
        is_bare = status == 401 and (code is None or not self.bad_credentials)  # noqa: PLR2004
        if is_bare or (_is_final(status) and code in self.bad_credentials):
            return self._told(response, BAD_CREDENTIALS, status=401)
        return self._told(response, code)

    def _meaning(self, response: Response) -> str | None:
        challenge = _challenge(response)
        said = {self._code(response), challenge}
        for code in said & self.ended:
            return code if code in ENDINGS else "SESSION_REVOKED"
        is_bare = response.status_code == 401 and challenge not in _INCURABLE  # noqa: PLR2004
        if said & self.expired or (is_bare and self.bare_401 == "expired"):
            return EXPIRED
        return None

    def _code(self, response: Response) -> str | None:
        code = _at(self.error_code, response.fields)
        return code if isinstance(code, str) else None

    def _told(self, response: Response, code: str | None, *, status: int | None = None) -> Response:
        told = {
            "accessToken": _at(self.access_token, response.fields),
            "refreshToken": _at(self.refresh_token, response.fields),
            "expiresIn": _at(self.expires_in, response.fields),
            "user": _at(self.user, response.fields),
            "error": _at(self.sentence, response.fields),
            "code": code,
        }
        return replace(
            response,
            status_code=status or response.status_code,
            content=json.dumps(told).encode(),
        )


def _at(path: str, values: Mapping[str, Any]) -> Any:
    found: Any = values
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _challenge(response: Response) -> str | None:
    match = _CHALLENGE.search(response.headers.get("www-authenticate", ""))
    return match[1].lower() if match else None


def _is_final(status: int) -> bool:
    return status // 100 == 4 and status not in _TRANSIENT  # noqa: PLR2004 - RFC 9110, 15.5


def _is_page(response: Response) -> bool:
    return "html" in response.headers.get("content-type", "").lower()


def _checked(name: str, value: Any, kind: type) -> Any:
    if kind is frozenset:
        return _statuses(name, value) if name == "refused_statuses" else _codes(name, value)
    if kind is dict:
        return _constants(name, value)
    if not isinstance(value, str):
        raise ValueError(f"dialect: {name} is a text")  # noqa: TRY004 - options raise ValueError
    if value not in _CHOICES.get(name, {value}):
        raise ValueError(f"dialect: {name} is one of: {', '.join(_CHOICES[name])}")
    return value


def _codes(name: str, value: Any) -> frozenset[str]:
    if not _is_list_of(str, value):
        raise ValueError(f"dialect: {name} is a list of codes")
    return frozenset(value)


def _statuses(name: str, value: Any) -> frozenset[int]:
    if not _is_list_of(int, value) or not all(map(_is_final, value)):
        raise ValueError(f"dialect: {name} is a list of 4xx that are for good, such as [401]")
    return frozenset(value)


def _constants(name: str, value: Any) -> Constants:
    is_table = isinstance(value, Mapping) and _is_list_of(str, [*value])
    if not is_table or not _is_list_of(str | int | float, [*value.values()]):
        raise ValueError(f"dialect: {name} is a table of texts and numbers")
    return dict(value)


def _is_list_of(kind: Any, value: Any) -> bool:
    is_list = isinstance(value, list | tuple | set | frozenset)
    return is_list and all(isinstance(one, kind) for one in value)
