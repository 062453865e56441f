"""The server as a page runs it: called without a network, without threads and compiled packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from unexpired_server import Database

# What has no build for a Python in a browser, or is of no use there.
ABSENT = ("argon2", "cryptography", "greenlet", "aiosqlite", "alembic", "uvicorn", "httptools")

STORY = """
import asyncio, json, sys
from pathlib import Path

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in sys.argv[3:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from server.in_page.server import start

async def main():
    database, empty = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()

    async def call(method, path, data=None, token=None):
        headers = [("content-type", "application/json"), ("user-agent", "Firefox")]
        headers += [("authorization", f"Bearer {token}")] if token else []
        body = json.dumps(data).encode() if data else b""
        status, _, content = await server.respond(method, f"http://host{path}", headers, body)
        statuses.append(status)
        return json.loads(content or b"{}")

    statuses, secret = [], "47a1Mzr0Lz9Fb3iWQm2rVdTq8yXnUs5KeP6jHcGwZs1"
    server = await start(database, empty, empty, secret)
    await call("POST", "/api/login", {"username": "demo", "password": "wrong"})
    tokens = await call("POST", "/api/login", {"username": "demo", "password": "demo"})
    await call("POST", "/api/notes", {"text": "kept"}, tokens["accessToken"])
    tokens = await call("POST", "/api/refresh", {"refreshToken": tokens["refreshToken"]})
    kept = server.content()
    await server.stop()

    server = await start(database.with_name("second"), kept, empty, secret)
    notes = await call("GET", "/api/notes", token=tokens["accessToken"])
    await call("POST", "/api/logout-all", token=tokens["accessToken"])
    await call("GET", "/api/me", token=tokens["accessToken"])
    await server.stop()
    print(json.dumps([statuses, [note["text"] for note in notes["notes"]]]))

asyncio.run(main())
"""


@pytest.fixture
async def empty(tmp_path: Path) -> Path:
    """A database with this version's tables."""
    path = tmp_path / "empty.sqlite3"
    database = Database(f"sqlite:///{path}")
    await database.migrate()
    await database.close()
    return path


def test_a_python_without_compiled_packages_serves_and_keeps_its_database(
    tmp_path: Path, empty: Path
) -> None:
    command = (sys.executable, "-c", STORY, tmp_path / "data.sqlite3", empty, *ABSENT)
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    statuses, notes = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [401, 200, 201, 200, 200, 204, 401]
    assert notes == ["kept"]
