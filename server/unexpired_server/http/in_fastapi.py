"""What FastAPI shows of our routes and dependencies in ``/docs`` and ``/openapi.json``.

The only module that imports FastAPI, which is the application's and not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from inspect import Parameter, Signature
from typing import Any

from fastapi.params import Depends, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPBase
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.http.openapi import Operation, described
from unexpired_server.http.prefix import with_prefix

TAG = "auth"


class _AccessToken(HTTPBearer):
    """Shows that an operation needs a token; verifies none."""

    async def __call__(self, _request: HTTPConnection) -> None:
        """Do nothing: our own dependencies verify, and answer with our codes."""


ACCESS_TOKEN: HTTPBearer = _AccessToken(
    scheme_name="accessToken", bearerFormat="JWT", description="The `accessToken` of a sign-in."
)


class _ProvenToken(HTTPBase):
    """Shows that an operation takes a token that is bound to a key; verifies none."""

    async def __call__(self, _request: HTTPConnection) -> None:
        """Do nothing: our own dependencies verify, and answer with our codes."""


PROVEN_TOKEN: HTTPBase = _ProvenToken(
    scheme="dpop",
    scheme_name="provenToken",
    description="The `accessToken` of a bound session, with a proof in the header `DPoP`.",
)


def signature_of(begins_with: Callable[..., Any] | None, scopes: Collection[str]) -> Signature:
    """Return the parameters of one of our dependencies, as FastAPI understands them.

    Args:
        begins_with: The dependency whose result it is given; None for one that reads the token.
        scopes: The scopes that it needs.
    """
    asked = ACCESS_TOKEN if begins_with is None else begins_with
    needed = Security(asked, scopes=sorted(scopes))
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return Signature(
        [
            Parameter("request", kind, annotation=HTTPConnection),
            Parameter("user", kind, annotation=Any, default=needed),
        ]
    )


def api_routes(
    routes: Iterable[Route], operations: Iterable[Operation], prefix: str
) -> list[Route]:
    """Return routes as FastAPI's own, so that they are in its OpenAPI document.

    The application's dependencies, response classes and names of models do not change them.

    Args:
        routes: Our routes, under the prefix.
        operations: What they offer, under our own prefix.
        prefix: What the routes' paths begin with.
    """
    known = {(with_prefix(one.path, prefix), one.method): one for one in operations}
    return [
        _api_route(route, known[route.path, method.lower()])
        for route in routes
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def _api_route(route: Route, operation: Operation) -> Route:
    shown = APIRoute(
        route.path,
        route.endpoint,
        methods=[operation.method.upper()],
        name=route.name,
        status_code=operation.status,
        response_model=None,
        response_class=Response,
        response_description=operation.summary,
        dependencies=[Depends(one) for one in _schemes(operation)],
        tags=[TAG],
        summary=operation.summary,
        openapi_extra=described(operation),
    )
    shown.app = route.app
    return shown


def _schemes(operation: Operation) -> list[HTTPBase]:
    if not operation.needs_token:
        return []
    return [ACCESS_TOKEN, PROVEN_TOKEN] if operation.takes_proof else [ACCESS_TOKEN]
