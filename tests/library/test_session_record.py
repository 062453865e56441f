"""The stored record: whatever storage holds, the client starts, and a sound session continues."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.library.conftest import NOW
from tests.support.clock import FakeClock
from tests.support.fake_server import API, AsyncFakeServer, make_token
from unexpired import AsyncClient, MemoryStore
from unexpired.session_record import Record, UnknownRecord, loads, move_old_record

GOOD: dict[str, Any] = {
    "version": 1,
    "session": "s",
    "generation": 1,
    "accessToken": make_token(),
    "refreshToken": "rt1.1",
    "expiresAt": NOW + 900,
    "lifetime": 900.0,
    "skew": 0.0,
    "user": {"id": "1", "username": "ada"},
    "refused": None,
}
"""A record as the first version stored it, without the API."""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-2, 2)
    | st.floats()
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def text_of(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def client_on(store: MemoryStore, **options: Any) -> AsyncClient:
    clock = FakeClock()
    return AsyncClient(
        AsyncFakeServer(clock), store=store, clock=clock, **{"base_url": API, **options}
    )


def stored(text: str) -> MemoryStore:
    store = MemoryStore()
    store.save(text)
    return store


@pytest.mark.parametrize(
    "changes",
    [
        {"user": {}},
        {"user": []},
        {"user": {"score": float("nan")}},
        {"expiresAt": float("inf")},
        {"expiresAt": float("nan")},
        {"expiresAt": int("9" * 400)},
        {"expiresAt": True},
        {"expiresAt": 1e300},
        {"lifetime": 0},
        {"lifetime": -1},
        {"skew": None},
        {"skew": 1e13},
        {"generation": 0},
        {"generation": True},
        {"generation": 1.5},
        {"session": ""},
        {"session": "s" * 10_000},
        {"refused": 7},
        {"accessToken": ""},
        {"accessToken": "a\nb"},
        {"accessToken": "a "},
        {"accessToken": "Łukasz"},
        {"accessToken": "\ud800"},
        {"accessToken": "a" * 100_000},
        {"refreshToken": "a\r\nX: 1"},
        {"refreshToken": "\udfff"},
        {"version": True},
        {"version": "1"},
        {"version": 0},
        {"api": 7},
    ],
    ids=str,
)
def test_a_damaged_record_is_removed_and_nobody_is_signed_in(changes: dict[str, Any]) -> None:
    store = stored(text_of(**changes))
    client = client_on(store)
    assert (client.state, client.user, store.load()) == ("anonymous", None, None)


@pytest.mark.parametrize("text", ["", "null", "[]", "7", '"x"', "{", "[" * 100_000, "\x00"])
def test_what_is_no_record_is_removed(text: str) -> None:
    store = stored(text)
    assert client_on(store).state == "anonymous"
    assert store.load() is None


@given(st.sampled_from([*GOOD, "api"]), JSON)
def test_any_change_of_a_record_is_unknown_or_usable(member: str, value: Any) -> None:
    text = text_of(**{member: value})
    try:
        record = loads(text, API)
    except UnknownRecord:
        assert client_on(stored(text)).state == "anonymous"
        return
    assert loads(record.dumps(API), API) == record
    client = client_on(stored(text))
    assert client.state in {"active", "degraded", "expired"}
    assert client.user is None or client.user
    assert (client.expires_in or 0) >= 0
    assert (client.refresh_in or 0) >= 0
    json.dumps(client.diagnose(), allow_nan=False)


@given(JSON)
def test_any_other_value_is_unknown(value: Any) -> None:
    with pytest.raises(UnknownRecord):
        loads(json.dumps(value))


def test_a_record_of_a_later_version_is_kept() -> None:
    text = text_of(version=3, generation="x")
    store = stored(text)
    assert client_on(store).state == "anonymous"
    assert store.load() == text


# -- Whose record it is ------------------------------------------------------------------------


def test_a_record_names_the_api_that_issued_it() -> None:
    assert json.loads(loads(text_of()).dumps(API))["api"] == API


async def test_a_client_never_sends_the_tokens_of_another_api() -> None:
    text = text_of(api="https://other.example")
    store, clock = stored(text), FakeClock()
    server = AsyncFakeServer(clock)
    client = AsyncClient(server, store=store, clock=clock, base_url=API)
    client.wake()
    await client.sign_out()
    assert (client.state, server.received, store.load()) == ("anonymous", [], text)


def test_a_record_without_an_api_is_adopted_and_names_it_from_then_on() -> None:
    store = stored(text_of())
    assert client_on(store).state == "active"
    assert json.loads(store.load() or "")["api"] == API
    assert client_on(store, base_url="https://other.example").state == "anonymous"
    assert client_on(store).state == "active"


def test_a_record_of_another_api_under_the_same_key_signs_nobody_out() -> None:
    store = stored(text_of())
    client = client_on(store)
    foreign = text_of(api="https://other.example", session="other")
    store.save(foreign)
    client.wake()
    assert (client.state, store.load()) == ("active", foreign)


@pytest.mark.parametrize("damage", ["", "[" * 100_000, text_of(user={}), text_of(expiresAt=True)])
def test_damage_does_not_sign_out_a_client_that_still_knows_its_session(damage: str) -> None:
    store = stored(text_of())
    client, left = client_on(store), list[str]()
    client.on("signed_out", left.append)
    whole = store.load()
    store.save(damage)
    client.wake()
    assert (client.state, store.load(), left) == ("active", whole, [])


def test_damage_is_removed_by_a_client_without_a_session() -> None:
    store = MemoryStore()
    client = client_on(store)
    store.save("[" * 100_000)
    client.wake()
    assert (client.state, store.load()) == ("anonymous", None)


def test_a_record_is_read_as_it_was_written() -> None:
    record = loads(text_of())
    assert isinstance(record, Record)
    assert loads(record.dumps(API), API) == record


PAGE = "https://app.example/notes/#/x"


@pytest.mark.parametrize(
    ("api", "claims"),
    [
        ("https://app.example/v1", {}),
        (API, {"iss": f"{API}/"}),
        (API, {"aud": ["notes", API]}),
        (f"{API}/v1", {"aud": f"{API}/v1"}),
    ],
)
def test_an_old_record_that_is_surely_of_this_api_is_moved(api: str, claims: Any) -> None:
    text = text_of(accessToken=make_token(**claims))
    old, new = stored(text), MemoryStore()
    move_old_record(old, new, api=api, page_url=PAGE)
    assert (old.load(), new.load()) == (None, text)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accessToken": "opaque"},
        {"accessToken": make_token(iss="notes", aud=[7, "https://api.example.evil.example"])},
        {"accessToken": make_token(iss=API), "api": "https://app.example"},
        {"accessToken": make_token(iss=API), "user": {}},
    ],
    ids=range(5),
)
def test_an_old_record_that_may_be_of_another_api_stays(changes: dict[str, Any]) -> None:
    text = text_of(**changes)
    old, new = stored(text), MemoryStore()
    move_old_record(old, new, api=API, page_url=PAGE)
    assert (old.load(), new.load()) == (text, None)


def test_an_old_record_replaces_none() -> None:
    old, new = stored(text_of()), stored("newer")
    move_old_record(old, new, api="https://app.example/v1", page_url=PAGE)
    assert new.load() == "newer"
