"""What a request carries, the first time and the second."""

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


def test_a_late_401_for_an_old_token_is_repeated_without_a_refresh(
    outdated: Library, proxy: HTTPProxy
) -> None:
    """A 401 that arrives when another call has already renewed the token only needs a repeat."""
    release = proxy.hold("/api/sessions", times=1)
    outdated.run("task = asyncio.ensure_future(outcome(client.get('/api/sessions')))\nNone")
    until(lambda: proxy.count("GET /api/sessions") == 1)
    assert outdated.run(GET_ME) == 200
    release()
    assert outdated.run("await task") == 200
    assert proxy.count(REFRESH) == 1


@pytest.mark.parametrize("kind", BODIES)
def test_the_same_body_is_sent_again(outdated: Library, proxy: HTTPProxy, kind: str) -> None:
    """After a refresh the server gets the very same bytes under the same idempotency key."""
    outdated.run(f"await outcome(client.post('/api/notes', {BODIES[kind]}))")
    first, second = proxy.calls(NOTES)
    assert first.body == second.body != b""
    for name in ("content-type", "idempotency-key"):
        assert first.headers.get(name) == second.headers.get(name)
    assert first.headers["authorization"] != second.headers["authorization"]


def test_a_post_across_a_refresh_has_its_effect_once(outdated: Library) -> None:
    """The note that was sent twice is there once."""
    text = f"once {time.time()}"
    assert (
        outdated.run(f"await outcome(client.post('/api/notes', json={{'text': {text!r}}}))") == 201
    )
    notes = outdated.run("(await client.get('/api/notes')).json()['notes']")
    assert [note["text"] for note in notes].count(text) == 1


def test_a_stream_is_sent_after_the_refresh_that_is_due(tab: Library, proxy: HTTPProxy) -> None:
    """A body that can be sent once is not risked on a token that is about to expire."""
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


def test_a_spent_stream_is_never_sent_empty(outdated: Library, proxy: HTTPProxy) -> None:
    """When a stream must be repeated, the caller hears of it; the server gets no empty body."""
    call = "await outcome(client.post('/api/notes', content=iter([b'a', b'b'])))"
    assert outdated.run(call) == "ReplayImpossible"
    assert [call.body for call in proxy.calls(NOTES)] == [b"ab"]


def test_the_callers_own_authorization_is_left_alone(tab: Library, proxy: HTTPProxy) -> None:
    """Who brings credentials of their own gets the answer to those, whatever it is."""
    call = "await outcome(client.get('/api/me', headers={'Authorization': 'Basic eA=='}))"
    assert tab.run(call) == 401
    assert proxy.calls(ME)[0].headers["authorization"] == "Basic eA=="
    assert (proxy.count(REFRESH), tab.run("client.state")) == (0, "active")


def test_one_cancelled_caller_costs_the_others_nothing(outdated: Library, proxy: HTTPProxy) -> None:
    """Five wait for one refresh; one gives up; four get their answer."""
    release = proxy.hold("/api/refresh", times=1)
    outdated.run(
        "calls = [asyncio.ensure_future(outcome(client.get('/api/me'))) for _ in range(5)]\nNone"
    )
    until(lambda: proxy.count(REFRESH) == 1)
    outdated.run("calls[0].cancel()")
    release()
    assert outdated.run("await asyncio.gather(*calls[1:])") == [200] * 4
    assert proxy.count(REFRESH) == 1


def test_a_call_is_bounded_by_its_own_timeout(tab: Library, proxy: HTTPProxy) -> None:
    """A server that does not answer costs as many seconds as the caller allows."""
    proxy.hold("/api/me")
    assert tab.run("await outcome(client.get('/api/me', timeout=0.3))") == "Unreachable"


def test_a_listeners_mistake_stays_its_own(tab: Library, proxy: HTTPProxy, watch: Watch) -> None:
    """A listener that raises, and one that awaits the client, hold up neither refresh nor call."""
    tab.run(
        "answers = []\n"
        "async def ask():\n"
        "    answers.append(await outcome(client.get('/api/me')))\n"
        "def careless():\n"
        "    raise RuntimeError\n"
        "client.on('refreshed', careless)\n"
        "client.on('refreshed', ask)\n"
        "await client.refresh()"
    )
    until(lambda: tab.run("answers") == [200])
    assert proxy.count(REFRESH) == 1
    watch.forgive("a listener for 'refreshed' failed")
