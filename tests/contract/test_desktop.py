"""The library in programs: a session that outlives them, shared by all of one user's."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from tests.contract.metrics_client import refreshes
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import AsyncClient, Client, NotSignedIn, Unreachable
from unexpired.desktop import FileStore, KeyringStore, ProcessLock, SyncProcessLock

OPEN = "from unexpired import AsyncClient, Client\nclient = Client.on_desktop(base_url=sys.argv[1])"
SCRIPTS = {
    "signs in": f"{OPEN}\nclient.sign_in('ada', sys.argv[2])",
    "asks": f"{OPEN}\nprint(client.get('/api/me').json()['username'], client.state)",
    "asks awaiting": """
import asyncio
from unexpired import AsyncClient
client = AsyncClient.on_desktop(base_url=sys.argv[1])
print(asyncio.run(client.get('/api/me')).json()['username'], client.state)
""",
    "asks together": f"{OPEN}\nprint('ready', flush=True)\ninput()\n"
    "print(client.get('/api/me').status_code)",
    "holds the lock": """
from pathlib import Path
from unexpired.desktop import SyncProcessLock
with SyncProcessLock(Path(sys.argv[1])).hold(5):
    print('held', flush=True)
    input()
""",
}


@dataclass
class SecondProcess:
    """Where one user's programs run, one server for all of them."""

    backend: ServerProcess
    home: Path

    def start(self, script: str, *args: str) -> subprocess.Popen[str]:
        """Start one of the scripts in a process of its own."""
        return subprocess.Popen(  # noqa: S603 - our own words
            [sys.executable, "-W", "error", "-c", f"import sys\n{SCRIPTS[script]}", *args],
            env={**os.environ, "XDG_STATE_HOME": str(self.home), "PYTHONPATH": f"{ROOT}/app"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> str:
        """Run one of the scripts to its end; return what it prints."""
        child = self.start(script, self.backend.url, PASSWORDS["ada"])
        said, complaint = child.communicate("\n", timeout=30)
        assert child.returncode == 0, complaint
        return said.strip()

    @property
    def file(self) -> Path:
        """The one file that a session is kept in."""
        (found,) = (self.home / "unexpired").glob("*.json")
        return found

    @property
    def record(self) -> dict[str, object]:
        record: dict[str, object] = json.loads(self.file.read_text())
        return record

    def expire(self) -> None:
        """Have the access token expire, which only the server knows."""
        token = self.backend.expired(str(self.record["accessToken"]))
        self.file.write_text(json.dumps({**self.record, "accessToken": token}))


@pytest.fixture
def desk(backend: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecondProcess:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return SecondProcess(backend, tmp_path)


def test_a_second_program_goes_on_with_the_session_of_the_first(desk: SecondProcess) -> None:
    """One signs in; others, sync and async, call; a third renews, and all go on with that."""
    desk.run("signs in")
    assert desk.run("asks") == "ada active"
    desk.expire()
    assert desk.run("asks awaiting") == "ada active"
    assert desk.record["generation"] == 2
    assert desk.run("asks") == "ada active"
    assert desk.record["generation"] == 2


def test_the_session_is_its_owners_alone(desk: SecondProcess) -> None:
    """The file is 0600 in a folder that is 0700, and nothing is left beside it."""
    previous = os.umask(0)
    try:
        desk.run("signs in")
        desk.expire()
        desk.run("asks")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(desk.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.file.parent.stat().st_mode) == 0o700
    beside = {path.suffix for path in desk.file.parent.iterdir()}
    assert beside == {".json", ".lock"}


def test_programs_that_find_the_token_expired_together_refresh_once(desk: SecondProcess) -> None:
    """The lock on a file lets one of them refresh; the others use what it stored."""
    desk.run("signs in")
    desk.expire()
    before = refreshes(desk.backend)
    children = [desk.start("asks together", desk.backend.url) for _ in range(5)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=30)[0].strip() for child in children]
    assert answers == ["200"] * 5
    assert refreshes(desk.backend) == before + 1
    assert desk.record["generation"] == 2


async def test_a_killed_holder_frees_the_lock(desk: SecondProcess) -> None:
    """Nobody waits for the dead; for the living, only so long."""
    path = desk.home / "new" / "a.lock"
    holder = desk.start("holds the lock", str(path))
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unreachable):
            async with ProcessLock(path).hold(0.05):
                pytest.fail("two hold it")
        with pytest.raises(Unreachable), SyncProcessLock(path).hold(0.05):
            pytest.fail("two hold it")
        holder.send_signal(signal.SIGKILL)
        with SyncProcessLock(path).hold(10):
            pass
        async with ProcessLock(path).hold(10):
            pass


def test_two_apis_never_share_a_session(desk: SecondProcess) -> None:
    """The file is named after the API; the same API is the same with a slash or without."""
    desk.run("signs in")
    assert Client.on_desktop(base_url=f"{desk.backend.url}/").state == "active"
    assert Client.on_desktop(base_url="https://api.example").state == "anonymous"
    with pytest.raises(ValueError, match="base_url"):
        Client.on_desktop()


@pytest.fixture
def blocked(desk: SecondProcess) -> SecondProcess:
    """A desk where no folder can be made: a file stands in its place."""
    (desk.home / "unexpired").write_text("in the way")
    return desk


def test_where_nothing_can_be_written_the_session_lasts_as_long_as_the_program(
    blocked: SecondProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is kept in memory with a warning, and renewed without the lock's file."""
    client = Client.on_desktop(base_url=blocked.backend.url)
    with caplog.at_level(logging.WARNING):
        client.sign_in("ada", PASSWORDS["ada"])
        client.refresh()
    assert client.get("/api/me").status_code == 200
    assert client.diagnose()["generation"] == 2
    assert "file cannot be written" in caplog.text
    assert "lock file cannot be used" in caplog.text
    assert Client.on_desktop(base_url=blocked.backend.url).state == "anonymous"


async def test_the_same_holds_for_a_program_that_awaits(blocked: SecondProcess) -> None:
    """AsyncClient, where nothing can be written."""
    client = AsyncClient.on_desktop(base_url=blocked.backend.url)
    await client.sign_in("ada", PASSWORDS["ada"])
    await client.refresh()
    assert (await client.get("/api/me")).status_code == 200
    await client.sign_out()
    with pytest.raises(NotSignedIn):
        await client.get("/api/me")


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe\x00", b"[]"])
def test_garbage_in_the_file_counts_as_nothing(desk: SecondProcess, garbage: bytes) -> None:
    """What is no session is removed, and a new one takes its place."""
    desk.run("signs in")
    file = desk.file
    file.write_bytes(garbage)
    client = Client.on_desktop(base_url=desk.backend.url)
    assert client.state == "anonymous"
    assert not file.exists()
    client.sign_in("ada", PASSWORDS["ada"])
    assert desk.record["generation"] == 1


def test_a_write_that_fails_half_way_leaves_no_half_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced whole or not at all, and what was older does not come back."""
    store = FileStore(tmp_path / "a.json")
    store.save("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        store.save("new")
    assert store.load() == "new"
    assert list(tmp_path.iterdir()) == []
    store.save("newer")
    assert FileStore(tmp_path / "a.json").load() == "newer"


def test_a_file_that_cannot_be_removed_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sign-out that leaves something behind says so."""
    (tmp_path / "a.json").mkdir()
    FileStore(tmp_path / "a.json").clear()
    assert "cannot be removed" in caplog.text


class Safe(KeyringBackend):
    """A keyring in memory, which can be locked."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def _unlocked(self) -> dict[tuple[str, str], str]:
        if self.is_locked:
            raise KeyringLocked
        return self.kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._unlocked().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._unlocked()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self._unlocked().pop((service, username), None) is None:
            raise PasswordDeleteError


@pytest.fixture
def safe() -> Iterator[Safe]:
    usual, safe = keyring.get_keyring(), Safe()
    keyring.set_keyring(safe)
    yield safe
    keyring.set_keyring(usual)


def test_a_session_is_kept_in_the_systems_keyring(desk: SecondProcess, safe: Safe) -> None:
    """No file holds it; the next program finds it; a sign-out removes it."""
    store = KeyringStore("notes")
    client = Client.on_desktop(base_url=desk.backend.url, store=store)
    client.sign_in("ada", PASSWORDS["ada"])
    assert list(safe.kept) == [("notes", "session")]
    again = Client.on_desktop(base_url=desk.backend.url, store=KeyringStore("notes"))
    assert again.get("/api/me").status_code == 200
    again.sign_out()
    assert safe.kept == {}
    store.clear()  # Nothing to remove is no trouble.
    assert client.ready().state == "anonymous"
    assert list(desk.home.glob("**/*.json")) == []


def test_a_locked_keyring_costs_the_session_its_memory_alone(
    desk: SecondProcess, safe: Safe, caplog: pytest.LogCaptureFixture
) -> None:
    """The session works until the program ends, and says why it will be gone then."""
    safe.is_locked = True
    client = Client.on_desktop(base_url=desk.backend.url, store=KeyringStore("notes"))
    client.sign_in("ada", PASSWORDS["ada"])
    assert client.get("/api/me").status_code == 200
    assert "kept in memory" in caplog.text
    safe.is_locked = False
    client.refresh()
    assert list(safe.kept) == [("notes", "session")]
