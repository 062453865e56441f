"""What is stored, and what is not, of a session whose refresh token is in a cookie."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fake_server import make_token
from unexpired import MemoryStore
from unexpired.cookie_store import CookieStore, marker_key
from unexpired.session_record import Generation, Record, UnknownRecord, loads
from unexpired.token_response import Tokens

API = "https://api.example"
ATTEMPT = "an-attempt-of-128-bits"
TOKEN = make_token()


def record(session: str = "s", number: int = 3, **changes: Any) -> Record:
    tokens = Tokens(TOKEN, None, 2e9, 900.0, 1.5, {"id": "1", "name": "Adä"}, in_cookie=True)
    return Record(Generation(session, number), tokens, **changes)


def tabs() -> tuple[MemoryStore, CookieStore, CookieStore]:
    shared = MemoryStore()
    return shared, CookieStore(shared), CookieStore(shared)


def text_of(store: MemoryStore | CookieStore) -> str:
    text = store.load()
    assert text is not None
    return text


def test_no_token_and_no_time_of_one_is_stored() -> None:
    shared, mine, _ = tabs()
    mine.save(record(attempt=ATTEMPT, key="k").dumps(API))
    assert json.loads(text_of(shared)) == {
        "version": 2, "api": API, "session": "s", "user": {"id": "1", "name": "Adä"},
        "refused": None, "attempt": ATTEMPT, "key": "k", "nonce": None,
    }  # fmt: skip


def test_a_tab_reads_what_it_saved_as_the_same_text() -> None:
    _, mine, _ = tabs()
    for saved in (record(), record(attempt=ATTEMPT), record(key="k", attempt=ATTEMPT)):
        mine.save(saved.dumps(API))
        assert mine.load() == saved.dumps(API)
        assert loads(text_of(mine), API).can_renew


@pytest.mark.parametrize("key", [None, "k"])
def test_another_tab_has_the_session_without_its_tokens(key: str | None) -> None:
    _, mine, other = tabs()
    mine.save(record(attempt=ATTEMPT, key=key).dumps(API))
    read = loads(text_of(other), API)
    assert read.generation == Generation("s", 1)
    assert (read.attempt, read.key) == (ATTEMPT, key)
    assert read.tokens.access_token == ""
    assert read.tokens.user == {"id": "1", "name": "Adä"}
    assert read.can_renew
    assert read.has_expired(0)
    assert read.due_at(60) == 0
    assert read.dumps(API) == other.load()


def test_the_refresh_of_another_tab_does_not_make_this_ones_record_newer() -> None:
    _, mine, other = tabs()
    mine.save(record().dumps(API))
    before = text_of(mine)
    other.save(record(number=9).dumps(API))
    assert mine.load() == before


def test_an_attempt_and_a_refusal_are_shared() -> None:
    _, mine, other = tabs()
    mine.save(record().dumps(API))
    other.save(record(number=1, attempt=ATTEMPT).dumps(API))
    assert loads(text_of(mine), API) == record(attempt=ATTEMPT)
    other.save(record(number=1, refused="REFRESH_REUSED").dumps(API))
    assert loads(text_of(mine), API) == record(refused="REFRESH_REUSED")


def test_another_session_takes_the_place_of_this_tabs() -> None:
    _, mine, other = tabs()
    mine.save(record().dumps(API))
    other.save(record("t").dumps(API))
    read = loads(text_of(mine), API)
    assert read.generation == Generation("t", 1)
    assert read.tokens.access_token == ""


def test_a_sign_out_is_that_of_all_tabs() -> None:
    _, mine, other = tabs()
    mine.save(record().dumps(API))
    other.clear()
    assert mine.load() is None
    other.save(record().dumps(API))  # Its tokens are forgotten with it.
    assert loads(text_of(mine), API).tokens.access_token == ""


@pytest.mark.parametrize("text", ["", "x", "5", "[]", '{"session": []}', "{}"])
def test_a_damaged_marker_is_no_record(text: str) -> None:
    shared, mine, _ = tabs()
    shared.save(text)
    with pytest.raises(UnknownRecord):
        loads(text_of(mine), API)


def test_the_marker_is_no_record_of_a_page_that_stores_its_tokens() -> None:
    shared, mine, _ = tabs()
    mine.save(record().dumps(API))
    with pytest.raises(UnknownRecord):
        loads(text_of(shared), API)
    assert marker_key("unexpired") != "unexpired"


def test_a_record_of_a_page_that_stores_its_tokens_needs_an_access_token() -> None:
    damaged = {**json.loads(record().dumps(API)), "cookie": False, "accessToken": ""}
    with pytest.raises(UnknownRecord):
        loads(json.dumps(damaged), API)
