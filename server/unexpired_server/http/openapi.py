"""The OpenAPI 3.1 document of an API, made from its models and the tree of failures.

Each module of routes describes its own operations; an application adds those of its routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from unexpired_server.errors import (
    BadRequest,
    BodyTimeout,
    Challenge,
    Failure,
    InvalidProof,
    RateLimited,
    SessionRevoked,
    TokenError,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    UseDPoPNonce,
)
from unexpired_server.http.failure_response import DPOP_NONCE
from unexpired_server.http.models import ErrorOut, RequestModel, ResponseModel

BODY_FAILURES = (BadRequest, UnsupportedMediaType, TooLarge, BodyTimeout)
BEARER_FAILURES = (TokenMissing, TokenExpired, SessionRevoked, TokenInvalid, TokenError)
PROOF_FAILURES = (InvalidProof, UseDPoPNonce)
PROOF_PARAMETER: dict[str, Any] = {
    "name": "DPoP",
    "in": "header",
    "required": False,
    "description": "A proof of the key that the session is bound to (RFC 9449).",
    "schema": {"type": "string"},
}
ID_PARAMETER: dict[str, Any] = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}


@dataclass(frozen=True)
class Operation:
    """One call of the API.

    Attributes:
        method: In lower case.
        path: With its parameters in braces.
        summary: What it does.
        response: The model of the response's body; None when that is empty.
        failures: What may go wrong.
        status: The status of a success.
        request: The model of the request's body, if it has one.
        parameters: Besides the body.
    """

    method: str
    path: str
    summary: str
    response: type[ResponseModel] | None
    failures: Sequence[type[Failure]]
    status: int = 200
    request: type[RequestModel] | None = None
    parameters: Sequence[dict[str, Any]] = ()

    @property
    def needs_token(self) -> bool:
        """Whether it answers only with an access token."""
        return TokenMissing in self.failures

    @property
    def takes_proof(self) -> bool:
        """Whether it takes a proof of a session's key."""
        return UseDPoPNonce in self.failures


def with_proofs(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return operations as they are where calls with an access token need a proof of its key."""
    return tuple(
        replace(one, failures=(*one.failures, *PROOF_FAILURES)) if one.needs_token else one
        for one in operations
    )


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document that describes some operations."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Unexpired", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": _schemas(operations),
            "securitySchemes": _security_schemes(operations),
        },
    }


def described(one: Operation) -> dict[str, Any]:
    """Return one operation for the document of another application, with its schemas in place.

    Nothing is referred to by a name, which could be that of a model or of a security scheme of
    the application's.
    """
    operation = _operation(one)
    operation.pop("security", None)
    inlined: dict[str, Any] = _inlined(operation, _schemas([one]))
    return inlined


def _inlined(part: Any, schemas: dict[str, Any]) -> Any:
    match part:
        case {"$ref": str(reference)}:
            return _inlined(schemas[reference.rpartition("/")[2]], schemas)
        case dict():
            return {name: _inlined(value, schemas) for name, value in part.items()}
        case list():
            return [_inlined(value, schemas) for value in part]
    return part


def _security_schemes(operations: Iterable[Operation]) -> dict[str, Any]:
    names = ["bearer"]
    if any(one.needs_token and one.takes_proof for one in operations):
        names.append("dpop")  # Bound tokens come with a proof (RFC 9449, section 7.1).
    return {name: {"type": "http", "scheme": name, "bearerFormat": "JWT"} for name in names}


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    models = {ErrorOut, *(m for one in operations for m in (one.request, one.response) if m)}
    _, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "summary": one.summary,
        "parameters": [*one.parameters, *([PROOF_PARAMETER] if one.takes_proof else [])],
        "responses": {str(one.status): _success(one), **_failures(one.failures)},
    }
    if one.request:
        described["requestBody"] = {"required": True, "content": _content(one.request)}
    if one.needs_token:
        described["security"] = [{"bearer": []}, *([{"dpop": []}] if one.takes_proof else [])]
    return described


def _success(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"description": one.summary}
    if one.takes_proof and not one.needs_token:
        described["headers"] = {DPOP_NONCE: _NONCE}
    return {**described, "content": _content(one.response)} if one.response else described


def _failures(kinds: Sequence[type[Failure]]) -> dict[str, Any]:
    by_status = groupby(sorted(kinds, key=_status), key=_status)
    return {str(status): _failure(list(group)) for status, group in by_status}


def _failure(kinds: Sequence[type[Failure]]) -> dict[str, Any]:
    codes = [kind.code for kind in kinds]
    has_code = {"type": "object", "properties": {"code": {"enum": codes}}}
    schema = {"allOf": [_reference(ErrorOut), has_code]}
    described: dict[str, Any] = {
        "description": " · ".join(f"{kind.code}: {kind.message}" for kind in kinds),
        "content": {"application/json": {"schema": schema}},
    }
    if issubclass(kinds[0], Challenge):
        described["headers"] = {"WWW-Authenticate": _TEXT}
    if UseDPoPNonce in kinds:
        described["headers"][DPOP_NONCE] = _NONCE
    if issubclass(kinds[0], RateLimited | Unavailable):
        described["headers"] = {"Retry-After": _SECONDS}
    return described


def _status(kind: type[Failure]) -> int:
    return kind.status


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(model)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


_TEXT = {"required": True, "schema": {"type": "string"}}
_NONCE = {"description": "For the next proof.", "schema": {"type": "string"}}
_SECONDS = {"required": True, "schema": {"type": "integer", "minimum": 1}}
