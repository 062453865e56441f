"""Reads a request's body: bounded in size and time, strict JSON, then a typed model."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from unexpired_server.errors import BadRequest, BodyTimeout, TooLarge, UnsupportedMediaType
from unexpired_server.http.models import RequestModel
from unexpired_server.tokens import strict_json

MAXIMUM_BYTES = 16 * 1024
MAXIMUM_SECONDS = 10.0

Model = TypeVar("Model", bound=RequestModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """Read the body as a model.

    Raises:
        UnsupportedMediaType: The request does not declare it as JSON.
        TooLarge: It is over 16 KB.
        BodyTimeout: It took more than ten seconds to arrive.
        BadRequest: It is not strict JSON, or does not fit the model.
    """
    if _media_type(request) != "application/json":
        raise UnsupportedMediaType
    raw = await _read_bounded(request)
    try:
        members = strict_json.read_object(raw)
    except ValueError:
        raise BadRequest("The body must be one JSON object, in UTF-8.") from None
    try:
        return model.model_validate(members)
    except ValidationError as exc:
        raise BadRequest(_sentence(exc)) from None


def _media_type(request: Request) -> str:
    values = request.headers.getlist("content-type")
    return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""


async def _read_bounded(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAXIMUM_BYTES:
        raise TooLarge
    try:
        async with asyncio.timeout(MAXIMUM_SECONDS):
            return await _collect(request)
    except TimeoutError:
        raise BodyTimeout from None
    except ClientDisconnect:
        raise BadRequest from None


async def _collect(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAXIMUM_BYTES:
            raise TooLarge
    return bytes(body)


def _sentence(exc: ValidationError) -> str:
    # Names the field and the rule, never the value, which may be a password.
    error = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, error["loc"]))
    return f"{field}: {error['msg']}."
