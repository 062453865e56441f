"""Which responses count for the session: over real HTTP, from this server and from others."""

from __future__ import annotations

import time
from dataclasses import replace

import httpx
import pytest

from tests.contract.foreign_servers import ForeignServer, redirect_to, text_response
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import Client, MemoryStore, SessionEnded
from unexpired.desktop.urllib import UrllibTransport
from unexpired.session_record import Generation, Record, loads
from unexpired.token_response import Tokens

NO_TOKEN = text_response('{"error": "No.", "code": "NO_TOKEN"}', 401)


def signed_in(url: str) -> Client:
    """Return a client that was signed in to this server before."""
    store = MemoryStore()
    tokens = Tokens("a1", "r1", expires_at=time.time() + 600, lifetime=900)
    store.save(Record(Generation("s", 1), tokens).dumps())
    return Client(UrllibTransport(), store=store, base_url=url)


def test_a_redirect_to_another_origin_does_not_end_the_session() -> None:
    """The token stays behind, so the other server cannot but ask for one."""
    with (
        ForeignServer({"/x": NO_TOKEN}) as other,
        ForeignServer({"/moved": redirect_to(f"{other.url}/x")}) as api,
    ):
        client = signed_in(api.url)
        assert client.get("/moved").status_code == 401
        with httpx.Client(auth=client.httpx_auth(), follow_redirects=True) as http:
            assert http.get(f"{api.url}/moved").status_code == 401
        assert (api.tokens, other.tokens) == (["Bearer a1"] * 2, [None] * 2)
        assert client.state == "active"


def test_a_redirect_within_the_origin_may_end_the_session() -> None:
    with ForeignServer({"/x": NO_TOKEN, "/moved": redirect_to("/x")}) as api:
        client = signed_in(api.url)
        with pytest.raises(SessionEnded):
            client.get("/moved")
        assert api.tokens == ["Bearer a1"] * 2


def test_a_response_to_head_is_judged_by_its_challenge(backend: ServerProcess) -> None:
    store = MemoryStore()
    client = Client(UrllibTransport(), store=store, base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    record = loads(store.load() or "")
    token = backend.expired(record.tokens.access_token)
    store.save(replace(record, tokens=replace(record.tokens, access_token=token)).dumps())
    client = Client(UrllibTransport(), store=store, base_url=backend.url)
    response = client.head("/api/me")
    assert (response.status_code, response.content) == (200, b"")
    assert loads(store.load() or "").generation.number == 2
