"""What crosses between a page and its workers: calls and their answers, as plain values.

The page's client makes the calls and holds the session. A worker only says what it wants, so
neither a token nor anything to get one with is ever among these values.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, final

from unexpired.content import read_body
from unexpired.errors import UnexpiredError
from unexpired.messages import Headers, Response
from unexpired.session_manager import RequestOptions, build_request

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient

_log = logging.getLogger("unexpired")

ERROR_TYPES: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in UnexpiredError.__subclasses__()
}
ERROR_TYPES["ValueError"] = ValueError


class WorkerRequest(TypedDict):
    """What a worker asks for; without a timeout, the client's own holds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: NotRequired[float | None]


@final
class WorkerResponse(TypedDict):
    """A Response."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    url: str


@final
class WorkerError(TypedDict):
    """An error: its type, its sentence, and its attributes."""

    error: str
    sentence: str
    facts: dict[str, Any]


WorkerResult = WorkerResponse | WorkerError


def worker_request(method: str, url: str, options: RequestOptions) -> WorkerRequest:
    """Return what to ask for; see ``RequestOptions``.

    Raises:
        ValueError: if the body cannot be sent.
        TypeError: if it is a stream that must be awaited.
    """
    request = build_request(method, url, options)
    call: WorkerRequest = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": read_body(request.body),
    }
    if "timeout" in options:
        call["timeout"] = options["timeout"]
    return call


async def perform(call: WorkerRequest, client: AsyncClient) -> WorkerResult:
    """Make the call through the client; whatever goes wrong, there is an answer."""
    try:
        return _reply(await client.request(call["method"], call["url"], **_options(call)))
    except (UnexpiredError, ValueError) as error:
        return {"error": type(error).__name__, "sentence": str(error), "facts": dict(vars(error))}
    except Exception as error:  # noqa: BLE001 - else the worker would wait for ever
        # Only the kind of the error: its text is not ours, and may quote a token.
        _log.error("a worker's call failed with %s", type(error).__name__)
        return {"error": "", "sentence": "the page could not make the call", "facts": {}}


def _options(call: WorkerRequest) -> RequestOptions:
    options: RequestOptions = {"headers": call["headers"]}
    if call["body"] is not None:
        options["content"] = bytes(call["body"])  # It crosses as a view of the worker's memory.
    if "timeout" in call:
        options["timeout"] = call["timeout"]
    return options


def _reply(response: Response) -> WorkerResponse:
    return {
        "status_code": response.status_code,
        "headers": dict(response.headers),
        "content": response.content,
        "url": response.url,
    }


def response_from(answer: WorkerResult) -> Response:
    """Return the response, or raise what the page's client raised."""
    if "error" in answer:
        raise _raised(answer)
    headers, content = Headers(answer["headers"]), bytes(answer["content"])
    return Response(answer["status_code"], headers, content, answer["url"])


def _raised(failure: WorkerError) -> Exception:
    kind = ERROR_TYPES.get(failure["error"], RuntimeError)
    error = kind.__new__(kind, failure["sentence"])
    vars(error).update(failure["facts"])
    return error
