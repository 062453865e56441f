"""Sessions of the version before bound sessions, on a server and with a client of this one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.older_version import record_of_older_version, take_keys_out
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import Client, MemoryStore
from unexpired.session_record import loads


@pytest.fixture
def before(tmp_path: Path) -> tuple[MemoryStore, str]:
    """A session that began before, as its program stored it; its server is stopped."""
    server = ServerProcess.with_users(tmp_path)
    tokens = server.sign_in("ada", PASSWORDS["ada"])
    server.stop()
    take_keys_out(tmp_path / "data" / "unexpired.sqlite3")
    store = MemoryStore()
    store.save(record_of_older_version(tokens, server.url, left=tokens["expiresIn"]))
    return store, server.url


@pytest.fixture(params=[{}, {"DPOP": "all", "DPOP_REQUIRED": "true"}], ids=["default", "strictest"])
def updated(
    before: tuple[MemoryStore, str], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[ServerProcess]:
    """A server of this version at the same address, on the data of the one before."""
    port = before[1].rpartition(":")[2]
    changes = {f"UNEXPIRED_{name}": value for name, value in request.param.items()}
    server = ServerProcess(tmp_path, "--port", port, **changes).start()
    yield server
    server.stop()


def test_a_session_from_before_lives_on_unbound(
    before: tuple[MemoryStore, str], updated: ServerProcess, tmp_path: Path
) -> None:
    """Whatever the server asks of new ones. The version before could go on with it again."""
    store, api = before
    assert updated.url == api
    client = Client.on_desktop(base_url=api, store=store)
    for _ in range(2):
        assert client.get("/api/me").json()["username"] == "ada"
        client.refresh()
    (session,) = client.get("/api/sessions").json()["sessions"]
    assert (session["bound"], client.diagnose()["bound"]) == (False, False)
    text = store.load() or ""
    assert (loads(text).generation.number, '"version": 1,' in text) == (3, True)
    with closing(sqlite3.connect(tmp_path / "data" / "unexpired.sqlite3")) as database:
        assert database.execute("SELECT counter, jkt FROM sessions").fetchall() == [(2, None)]
