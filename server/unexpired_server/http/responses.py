"""Responses: the one place that turns models and failures into HTTP."""

from __future__ import annotations

from starlette.responses import Response

from unexpired_server.errors import Failure
from unexpired_server.http.failure_response import NO_STORE, failure_response
from unexpired_server.http.models import ResponseModel


def json_response(
    model: ResponseModel, status: int = 200, headers: dict[str, str] = NO_STORE
) -> Response:
    """Return a JSON response; by default no cache may keep it, because it is one user's."""
    return Response(model.to_json(), status, headers, "application/json")


def no_content() -> Response:
    """Return an empty response to a call that succeeded."""
    return Response(status_code=204, headers=NO_STORE)


def error_response(failure: Failure, *, strict: bool = False) -> Response:
    """Return the response for a failure.

    Args:
        failure: What went wrong.
        strict: Answer 401 in place of 403 for invalid tokens (RFC 6750, section 3.1).
    """
    return Response(*failure_response(failure, strict=strict))
