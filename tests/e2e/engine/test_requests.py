"""What is sent with a request, and with its retry."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.browser_library import Library
from tests.e2e.engine.helpers import GET_ME, ME, NOTES, REFRESH, until
from tests.e2e.watch import Watch
from tests.support.proxy import HTTPProxy

BODIES = {
    "JSON": "json={'text': 'naïve'}",
    "bytes": "content=bytes(range(256))",
    "text": "content='naïve'",
    "form": "data={'a': 'naïve', 'b': ['1', '2']}",
    "file": "data={'a': '1'}, files={'f': ('x.bin', bytes(range(256)))}",
}


def test_a_late_401_for_an_old_token_is_retried_without_a_refresh(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """Another call has refreshed the token before the 401 arrived."""
    release = proxy.hold("/api/sessions", times=1)
    outdated.run("task = asyncio.ensure_future(outcome(client.get('/api/sessions')))\nNone")
    until(lambda: proxy.count("GET /api/sessions") == 1)
    assert outdated.run(GET_ME) == 200
    release()
    assert outdated.run("await task") == 200
    assert proxy.count(REFRESH) == 1


@pytest.mark.parametrize("kind", BODIES)
def test_a_retry_has_the_same_body(outdated: Library, proxy: HTTPProxy, kind: str) -> None:
    """After a refresh the server gets the same bytes with the same idempotency key."""
    outdated.run(f"await outcome(client.post('/api/notes', {BODIES[kind]}))")
    first, second = proxy.calls(NOTES)
    assert first.body == second.body != b""
    for name in ("content-type", "idempotency-key"):
        assert first.headers.get(name) == second.headers.get(name)
    assert first.headers["authorization"] != second.headers["authorization"]


def test_a_post_retried_after_a_refresh_takes_effect_once(outdated: Library) -> None:
    """The note was sent twice and exists once."""
    text = f"once {time.time()}"
    assert (
        outdated.run(f"await outcome(client.post('/api/notes', json={{'text': {text!r}}}))") == 201
    )
    notes = outdated.run("(await client.get('/api/notes')).json()['notes']")
    assert [note["text"] for note in notes].count(text) == 1


def test_a_stream_is_sent_after_the_refresh_when_one_is_due(tab: Library, proxy: HTTPProxy) -> None:
    """A body that can be sent once is not sent with a token that is about to expire."""
    tab.reopen(expiresAt=time.time() + 5, lifetime=900)
    body = json.dumps({"text": "streamed"}).encode()
    tab.run(
        "async def chunks():\n"
        f"    for byte in {body!r}:\n"
        "        yield bytes([byte])\n"
        "headers = {'content-type': 'application/json'}\n"
        "await outcome(client.post('/api/notes', content=chunks(), headers=headers))"
    )
    assert [call.body for call in proxy.calls(NOTES)] == [body]
    assert proxy.count(REFRESH) == 1


def test_a_consumed_stream_is_not_resent(outdated: Library, proxy: HTTPProxy) -> None:
    """The call raises ReplayImpossible; the server gets no empty body."""
    call = "await outcome(client.post('/api/notes', content=iter([b'a', b'b'])))"
    assert outdated.run(call) == "ReplayImpossible"
    assert [call.body for call in proxy.calls(NOTES)] == [b"ab"]


def test_a_call_with_its_own_authorization_is_sent_unchanged(
    tab: Library, proxy: HTTPProxy
) -> None:
    """Its 401 is returned, and nothing is refreshed."""
    call = "await outcome(client.get('/api/me', headers={'Authorization': 'Basic eA=='}))"
    assert tab.run(call) == 401
    assert proxy.calls(ME)[0].headers["authorization"] == "Basic eA=="
    assert (proxy.count(REFRESH), tab.run("client.state")) == (0, "active")


def test_cancelling_one_call_does_not_affect_the_others(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """Five wait for one refresh; one is cancelled; four get their response."""
    release = proxy.hold("/api/refresh", times=1)
    outdated.run(
        "calls = [asyncio.ensure_future(outcome(client.get('/api/me'))) for _ in range(5)]\nNone"
    )
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.run("calls[0].cancel()")
    release()
    assert outdated.run("await asyncio.gather(*calls[1:])") == [200] * 4
    assert proxy.count(REFRESH) == 1


def test_timeout_bounds_a_call(tab: Library, proxy: HTTPProxy) -> None:
    """A call to a server that does not respond raises Unreachable after its timeout."""
    proxy.hold("/api/me")
    assert tab.run("await outcome(client.get('/api/me', timeout=0.3))") == "Unreachable"


def test_a_failing_listener_does_not_affect_refreshes_or_calls(
    tab: Library, proxy: HTTPProxy, watch: Watch
) -> None:
    """Neither does a listener that awaits a call of the client."""
    tab.run(
        "statuses = []\n"
        "async def ask():\n"
        "    statuses.append(await outcome(client.get('/api/me')))\n"
        "def careless():\n"
        "    raise RuntimeError\n"
        "client.on('refreshed', careless)\n"
        "client.on('refreshed', ask)\n"
        "await client.refresh()"
    )
    until(lambda: tab.run("statuses") == [200])
    assert proxy.count(REFRESH) == 1
    watch.forgive("a listener for 'refreshed' failed")
