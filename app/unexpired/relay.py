"""What crosses between a page and its workers: calls and their answers, as plain values.

The page's client makes the calls and holds the session. A worker only says what it wants, so
neither a token nor anything to get one with is ever among these values.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, final

from .bodies import gathered
from .errors import UnexpiredError
from .keeper import CallOptions, plain_request
from .messages import Headers, Response

if TYPE_CHECKING:
    from .client import AsyncClient

_log = logging.getLogger("unexpired")

KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in UnexpiredError.__subclasses__()
}
KINDS["ValueError"] = ValueError


class Call(TypedDict):
    """What a worker asks for; without a timeout, the client's own holds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: NotRequired[float | None]


@final
class Reply(TypedDict):
    """A Response."""

    status_code: int
    headers: dict[str, str]
    content: bytes
    url: str


@final
class Failure(TypedDict):
    """An error: its type, its sentence, and its attributes."""

    error: str
    sentence: str
    facts: dict[str, Any]


Answer = Reply | Failure


def call_of(method: str, url: str, options: CallOptions) -> Call:
    """Return what to ask for; see ``CallOptions``.

    Raises:
        ValueError: if the body cannot be sent.
        TypeError: if it is a stream that must be awaited.
    """
    request = plain_request(method, url, options)
    call: Call = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": gathered(request.body),
    }
    if "timeout" in options:
        call["timeout"] = options["timeout"]
    return call


async def answer_to(call: Call, client: AsyncClient) -> Answer:
    """Make the call through the client; whatever goes wrong, there is an answer."""
    try:
        return _reply(await client.request(call["method"], call["url"], **_options(call)))
    except (UnexpiredError, ValueError) as error:
        return {"error": type(error).__name__, "sentence": str(error), "facts": dict(vars(error))}
    except Exception as error:  # noqa: BLE001 - else the worker would wait for ever
        # Only the kind of the error: its text is not ours, and may quote a token.
        _log.error("a worker's call failed with %s", type(error).__name__)
        return {"error": "", "sentence": "the page could not make the call", "facts": {}}


def _options(call: Call) -> CallOptions:
    options: CallOptions = {"headers": call["headers"]}
    if call["body"] is not None:
        options["content"] = bytes(call["body"])  # It crosses as a view of the worker's memory.
    if "timeout" in call:
        options["timeout"] = call["timeout"]
    return options


def _reply(response: Response) -> Reply:
    return {
        "status_code": response.status_code,
        "headers": dict(response.headers),
        "content": response.content,
        "url": response.url,
    }


def response_of(answer: Answer) -> Response:
    """Return the response, or raise what the page's client raised."""
    if "error" in answer:
        raise _raised(answer)
    headers, content = Headers(answer["headers"]), bytes(answer["content"])
    return Response(answer["status_code"], headers, content, answer["url"])


def _raised(failure: Failure) -> Exception:
    kind = KINDS.get(failure["error"], RuntimeError)
    error = kind.__new__(kind, failure["sentence"])
    vars(error).update(failure["facts"])
    return error
