"""No repr, text, log, diagnosis or pickled error shows what only the caller and the server know."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.fake_server import API, error_response, json_response
from tests.support.streaming_server import AsyncStreamingServer
from unexpired import AsyncClient, BadReply, SecondStepRequired, UnexpiredError, Unreachable
from unexpired.content import build_request

MARK = "SECRET"


def shown(error: BaseException) -> Iterator[str]:
    """Yield everything that a log or a crash report has of an error."""
    yield from ("".join(traceback.format_exception_only(error)), repr(error), str(error))
    yield from getattr(error, "__notes__", [])
    yield from (repr(value) for value in vars(error).values() if not isinstance(value, dict))
    yield pickle.dumps(error).decode("latin-1")


async def raised(awaitable: Any) -> UnexpiredError:
    with pytest.raises(UnexpiredError) as caught:
        await awaitable
    return caught.value


async def test_nothing_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server, seen = AsyncStreamingServer(FakeClock()), list[Any]()
    client = AsyncClient(
        server,
        clock=server.clock,
        base_url=API,
        headers={"X-Api-Key": f"{MARK}-key"},
        event_hooks={"request": [seen.append], "response": [seen.append]},
    )
    step = {"code": "SECOND_STEP_REQUIRED", "error": "A message.", "mfa_token": f"{MARK}-mfa"}
    server.responses["/api/login"] = lambda _: json_response(401, step)
    errors = [await raised(client.sign_in("ada", f"{MARK}-pw", otp=f"{MARK}-otp"))]
    assert isinstance(errors[0], SecondStepRequired)
    assert errors[0].fields["mfa_token"] == f"{MARK}-mfa"
    server.responses["/api/login"] = lambda _: json_response(200, {"token": f"{MARK}-token"})
    errors.append(await raised(client.sign_in("ada", f"{MARK}-pw")))
    del server.responses["/api/login"]

    await client.sign_in("ada", "pw")
    given: dict[str, Any] = {
        "json": {"password": f"{MARK}-new"},
        "params": {"key": f"{MARK}-param"},
        "headers": {"X-Mine": f"{MARK}-header"},
    }
    server.streams.add("/api/notes", error_response(500, "BROKEN").content, status=500)
    response = await client.post("/api/notes", **given)
    with pytest.raises(BadReply) as refused:
        response.raise_for_status()
    errors.append(refused.value)
    server.streams.add("/lost", b"x", Unreachable())
    errors.append(await raised(client.get("/lost", params={"key": f"{MARK}-param"})))
    async with client.stream("GET", "/lost", params={"key": f"{MARK}-param"}) as stream:
        seen += [stream, stream.head]

    form = build_request("POST", "/x", {"data": {"p": f"{MARK}-pw"}, "files": {"f": MARK.encode()}})
    seen += [form, form.body, client, client.diagnose(), client._manager.options]  # noqa: SLF001
    texts = [repr(one) for one in seen] + [text for error in errors for text in shown(error)]
    texts += [f"{one.__dict__}" for one in caplog.records]
    texts += [str(client.diagnose()), caplog.text]
    assert [text for text in texts if MARK in text] == []
