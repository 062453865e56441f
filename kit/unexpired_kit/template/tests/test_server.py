"""The server, called as the page calls it, with a clock that moves when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server import create_app
from unexpired_server import Settings


class Clock:
    """A clock."""

    time = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time, in Unix seconds."""
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(tmp_path: Path, clock: Clock) -> Iterator[TestClient]:
    """The server, with its data in an empty folder; people may sign up."""
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/test.sqlite3",
        keys_file=tmp_path / "keys.json",
        signup=True,
    )
    with TestClient(create_app(settings, now=clock)) as client:
        yield client


def sign_up(api: TestClient, name: str) -> str:
    """Add a person, send their access token from now on, and return their refresh token."""
    account = {"username": name, "password": "a long and good one"}
    return use(api, api.post("/api/signup", json=account).json())


def use(api: TestClient, tokens: dict[str, str]) -> str:
    api.headers["Authorization"] = f"Bearer {tokens['accessToken']}"
    return tokens["refreshToken"]


def texts(api: TestClient) -> list[str]:
    return [note["text"] for note in api.get("/api/notes").json()["notes"]]


def test_nobody_sees_notes_without_a_session(api: TestClient) -> None:
    response = api.get("/api/notes")
    assert (response.status_code, response.json()["code"]) == (401, "NO_TOKEN")


def test_notes_are_there_after_a_token_has_expired(api: TestClient, clock: Clock) -> None:
    refresh_token = sign_up(api, "ada")
    assert api.post("/api/notes", json={"text": "milk"}).status_code == 201
    clock.time += 1000
    assert api.get("/api/notes").json()["code"] == "TOKEN_EXPIRED"
    use(api, api.post("/api/refresh", json={"refreshToken": refresh_token}).json())
    assert texts(api) == ["milk"]


def test_a_note_that_is_sent_again_is_added_once(api: TestClient) -> None:
    sign_up(api, "ada")
    for _ in range(2):
        api.post("/api/notes", json={"text": "milk"}, headers={"Idempotency-Key": "1"})
    assert texts(api) == ["milk"]


def test_nobody_reads_or_deletes_the_notes_of_others(api: TestClient) -> None:
    sign_up(api, "ada")
    note = api.post("/api/notes", json={"text": "milk"}).json()
    ada = api.headers["Authorization"]
    sign_up(api, "bob")
    assert texts(api) == []
    assert api.delete(f"/api/notes/{note['id']}").status_code == 404
    api.headers["Authorization"] = ada
    assert api.delete(f"/api/notes/{note['id']}").status_code == 204
    assert texts(api) == []
