"""This API as an OpenAPI 3.1 document, from the models of its bodies and the tree of its errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from unexpired_server.errors import (
    BadCredentials,
    BadRequest,
    BodyTimeout,
    Challenge,
    Failure,
    IdempotencyMismatch,
    NotFound,
    RateLimited,
    RefreshExpired,
    RefreshInvalid,
    RefreshReused,
    SessionRevoked,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from unexpired_server.http.bodies import Body, Credentials, NewNote, Refresh, SignOut


class OutModel(BaseModel):
    """Something that a reply shows: camelCase outside."""

    model_config: ClassVar[ConfigDict] = ConfigDict(alias_generator=to_camel)


class ErrorOut(OutModel):
    """What went wrong: a sentence for people, a code for programs."""

    error: str
    code: str
    expired_at: str | None = None


class UserOut(OutModel):
    """Who is signed in."""

    id: str
    username: str


class Tokens(OutModel):
    """A session's tokens; lives are in seconds. Without refresh there is no refresh token."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int | None = None


class SignedIn(Tokens):
    """A new session's tokens, and whose it is."""

    user: UserOut


class SessionOut(OutModel):
    """A session, as its owner may know it; times in ISO 8601.

    The address is the one that the session was last used from: signed in, or refreshed.
    """

    id: str
    device: str
    address: str | None
    created_at: str
    refreshed_at: str
    expires_at: str
    current: bool


class SessionList(OutModel):
    """The live sessions, newest first."""

    sessions: list[SessionOut]


class NoteOut(OutModel):
    """A note."""

    id: str
    text: str
    created_at: str


class NoteList(OutModel):
    """The notes, newest first."""

    notes: list[NoteOut]


class Status(OutModel):
    """That all is well."""

    status: Literal["ok"]


class KeySet(OutModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]


BODY = (BadRequest, UnsupportedMediaType, TooLarge, BodyTimeout)
BEARER = (TokenMissing, TokenExpired, SessionRevoked, TokenInvalid, TokenError)
REFUSALS = (RefreshExpired, RefreshInvalid, RefreshReused, SessionRevoked)
ID: dict[str, Any] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


@dataclass(frozen=True)
class Operation:
    """One call of the API.

    Attributes:
        method: In lower case.
        path: With its parameters in braces.
        summary: What it does.
        shows: The reply's model; None when the reply is empty.
        failures: What may go wrong.
        status: Of the reply when nothing does.
        takes: The body's model.
        parameters: Besides the body.
    """

    method: str
    path: str
    summary: str
    shows: type[OutModel] | None
    failures: Sequence[type[Failure]]
    status: int = 200
    takes: type[Body] | None = None
    parameters: Sequence[dict[str, Any]] = ()


OPERATIONS = (
    Operation(
        "post", "/api/login", "Sign in", SignedIn,
        (*BODY, BadCredentials, RateLimited, Unavailable), takes=Credentials,
    ),
    Operation(
        "post", "/api/refresh", "Renew a session's tokens", Tokens,
        (*BODY, *REFUSALS, RateLimited, Unavailable), takes=Refresh,
    ),
    Operation(
        "post", "/api/logout", "Sign out; good tokens and bad ones are answered alike", None,
        (*BODY, Unavailable), status=204, takes=SignOut,
    ),
    Operation(
        "post", "/api/logout-all", "Sign out everywhere", None,
        (*BEARER, Unavailable), status=204,
    ),
    Operation("get", "/api/me", "Who is signed in", UserOut, (*BEARER, Unavailable)),
    Operation("get", "/api/sessions", "Where I am signed in", SessionList, (*BEARER, Unavailable)),
    Operation(
        "delete", "/api/sessions/{id}", "Sign out elsewhere", None,
        (*BEARER, NotFound, Unavailable), status=204, parameters=(ID,),
    ),
    Operation("get", "/api/notes", "My notes", NoteList, (*BEARER, Unavailable)),
    Operation(
        "post", "/api/notes", "Add a note", NoteOut,
        (*BODY, *BEARER, IdempotencyMismatch, Unavailable), status=201, takes=NewNote,
        parameters=(IDEMPOTENCY_KEY,),
    ),
    Operation(
        "delete", "/api/notes/{id}", "Delete a note", None,
        (*BEARER, NotFound, Unavailable), status=204, parameters=(ID,),
    ),
    Operation("get", "/healthz", "Whether the process answers", Status, ()),
    Operation("get", "/readyz", "Whether it can serve", Status, (Unavailable,)),
    Operation("get", "/.well-known/jwks.json", "The public keys", KeySet, ()),
)  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    models = {ErrorOut, *(m for one in OPERATIONS for m in (one.takes, one.shows) if m)}
    _, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Unexpired", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "summary": one.summary,
        "parameters": list(one.parameters),
        "responses": {str(one.status): _reply(one), **_failures(one.failures)},
    }
    if one.takes:
        shown["requestBody"] = {"required": True, "content": _content(one.takes)}
    if TokenMissing in one.failures:
        shown["security"] = [{"bearer": []}]
    return shown


def _reply(one: Operation) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": one.summary}
    return {**shown, "content": _content(one.shows)} if one.shows else shown


def _failures(kinds: Sequence[type[Failure]]) -> dict[str, Any]:
    by_status = groupby(sorted(kinds, key=_status), key=_status)
    return {str(status): _failure(list(group)) for status, group in by_status}


def _failure(kinds: Sequence[type[Failure]]) -> dict[str, Any]:
    codes = [kind.code for kind in kinds]
    has_code = {"type": "object", "properties": {"code": {"enum": codes}}}
    schema = {"allOf": [_reference(ErrorOut), has_code]}
    shown: dict[str, Any] = {
        "description": " · ".join(f"{kind.code}: {kind.sentence}" for kind in kinds),
        "content": {"application/json": {"schema": schema}},
    }
    if issubclass(kinds[0], Challenge):
        shown["headers"] = {"WWW-Authenticate": _TEXT}
    if issubclass(kinds[0], RateLimited | Unavailable):
        shown["headers"] = {"Retry-After": {**_TEXT, "schema": {"type": "integer", "minimum": 1}}}
    return shown


def _status(kind: type[Failure]) -> int:
    return kind.status


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(model)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_TEXT = {"required": True, "schema": {"type": "string"}}
