"""The messages between a page and its workers: requests and their results, as plain values.

The page's client makes the requests and holds the session. A worker only describes a request, so
no message ever contains a token or anything that could be exchanged for one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, NotRequired, TypedDict, final

from unexpired.base_client import RequestMethods
from unexpired.content import PROGRESS_OPTIONS, RequestOptions, build_request, read_body
from unexpired.errors import UnexpiredError
from unexpired.messages import Auth, Headers, Request, Response

DEFAULT_NAMES = (Response.code_field, Response.message_field)

_log = logging.getLogger("unexpired")

ERROR_TYPES: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in UnexpiredError.__subclasses__()
}
ERROR_TYPES["ValueError"] = ValueError


class WorkerRequest(TypedDict):
    """A request; without a timeout, the page's client uses its own."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: NotRequired[float | None]
    auth: NotRequired[Auth]


@final
class WorkerResponse(TypedDict):
    """A response."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    url: str
    error_fields: NotRequired[tuple[str, str]]


@final
class WorkerError(TypedDict):
    """An error: its type, its message and its attributes."""

    error: str
    message: str
    attributes: dict[str, Any]


WorkerResult = WorkerResponse | WorkerError


def worker_request(method: str, url: str, options: RequestOptions) -> WorkerRequest:
    """Return the message for a request; see ``RequestOptions``.

    Raises:
        ValueError: If the body cannot be sent.
        TypeError: If the body is an asynchronous stream, or there is a callback, which only the
            page could call.
    """
    for name in PROGRESS_OPTIONS:
        if options.get(name) is not None:
            raise TypeError(f"{name}: the page sends a worker's requests, and cannot call this")
    request = build_request(method, url, options)
    message: WorkerRequest = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": read_body(request.body),
    }
    if "timeout" in options:
        message["timeout"] = options["timeout"]
    if "auth" in options:
        message["auth"] = options["auth"]
    return message


async def perform(
    message: WorkerRequest, client: RequestMethods[Awaitable[Response]]
) -> WorkerResult:
    """Make the request through the client; return its result, whatever happens."""
    try:
        response = await client.request(message["method"], message["url"], **_options(message))
        return _response_message(response)
    except (UnexpiredError, ValueError) as error:
        kept = vars(error).keys() - {"request", "response"}  # The other side has the request.
        attributes = {name: vars(error)[name] for name in kept}
        return {"error": type(error).__name__, "message": str(error), "attributes": attributes}
    except Exception as error:  # noqa: BLE001 - without a result the worker would wait forever
        # Only the type of the error: its text is not ours, and may quote a token.
        _log.error("a worker's request failed with %s", type(error).__name__)
        return {"error": "", "message": "the page could not make the request", "attributes": {}}


def _options(message: WorkerRequest) -> RequestOptions:
    options: RequestOptions = {"headers": message["headers"]}
    if message["body"] is not None:
        options["content"] = bytes(message["body"])  # It arrives as a view of the worker's memory.
    if "timeout" in message:
        options["timeout"] = message["timeout"]
    if "auth" in message:
        options["auth"] = message["auth"]
    return options


def _response_message(response: Response) -> WorkerResponse:
    message: WorkerResponse = {
        "status_code": response.status_code,
        "headers": dict(response.headers),
        "content": response.content,
        "url": response.url,
    }
    names = (response.code_field, response.message_field)
    return message if names == DEFAULT_NAMES else {**message, "error_fields": names}


def response_from(result: WorkerResult, message: WorkerRequest) -> Response:
    """Return the response to a request, or raise what the page's client raised."""
    request = Request(
        message["method"], message["url"], Headers(message["headers"]), message["body"]
    )
    if "error" in result:
        error = _error_from(result)
        if isinstance(error, UnexpiredError):
            error.note_request(request)
        raise error
    headers, content = Headers(result["headers"]), bytes(result["content"])
    code_field, message_field = result.get("error_fields", DEFAULT_NAMES)
    return Response(
        result["status_code"],
        headers,
        content,
        result["url"],
        code_field=code_field,
        message_field=message_field,
        request=request,
    )


def _error_from(message: WorkerError) -> Exception:
    kind = ERROR_TYPES.get(message["error"], RuntimeError)
    error = kind.__new__(kind, message["message"])
    vars(error).update(message["attributes"])
    return error
