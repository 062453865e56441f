"""The library on the desktop: one session, shared by all processes of a user."""

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
    "calls": f"{OPEN}\nprint(client.get('/api/me').json()['username'], client.state)",
    "calls async": """
import asyncio
from unexpired import AsyncClient
client = AsyncClient.on_desktop(base_url=sys.argv[1])
print(asyncio.run(client.get('/api/me')).json()['username'], client.state)
""",
    "calls on input": f"{OPEN}\nprint('ready', flush=True)\ninput()\n"
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
    """Runs scripts in further processes of one user, against one server."""

    backend: ServerProcess
    home: Path

    def start(self, script: str, *args: str) -> subprocess.Popen[str]:
        """Start one of the scripts."""
        return subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-W", "error", "-c", f"import sys\n{SCRIPTS[script]}", *args],
            env={**os.environ, "XDG_STATE_HOME": str(self.home), "PYTHONPATH": f"{ROOT}/app"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, script: str) -> str:
        """Run one of the scripts to the end; return what it prints."""
        child = self.start(script, self.backend.url, PASSWORDS["ada"])
        output, errors = child.communicate("\n", timeout=30)
        assert child.returncode == 0, errors
        return output.strip()

    @property
    def file(self) -> Path:
        """The file that holds the session."""
        (found,) = (self.home / "unexpired").glob("*.json")
        return found

    @property
    def record(self) -> dict[str, object]:
        record: dict[str, object] = json.loads(self.file.read_text())
        return record

    def expire(self) -> None:
        """Replace the access token by an expired one; the client does not know it has expired."""
        token = self.backend.expired(str(self.record["accessToken"]))
        self.file.write_text(json.dumps({**self.record, "accessToken": token}))


@pytest.fixture
def second_process(
    backend: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SecondProcess:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return SecondProcess(backend, tmp_path)


def test_a_second_process_uses_the_session_of_the_first(
    second_process: SecondProcess,
) -> None:
    """One signs in; others, sync and async, call; the refresh of one serves the next."""
    second_process.run("signs in")
    assert second_process.run("calls") == "ada active"
    second_process.expire()
    assert second_process.run("calls async") == "ada active"
    assert second_process.record["generation"] == 2
    assert second_process.run("calls") == "ada active"
    assert second_process.record["generation"] == 2


def test_only_the_owner_can_read_the_session_file(second_process: SecondProcess) -> None:
    """The file is 0600 in a folder that is 0700; beside it is only the lock file."""
    previous = os.umask(0)
    try:
        second_process.run("signs in")
        second_process.expire()
        second_process.run("calls")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(second_process.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(second_process.file.parent.stat().st_mode) == 0o700
    beside = {path.suffix for path in second_process.file.parent.iterdir()}
    assert beside == {".json", ".lock"}


def test_processes_that_find_the_token_expired_share_one_refresh(
    second_process: SecondProcess,
) -> None:
    """The lock file lets one of them refresh; the others use the tokens that it stored."""
    second_process.run("signs in")
    second_process.expire()
    before = refreshes(second_process.backend)
    children = [
        second_process.start("calls on input", second_process.backend.url) for _ in range(5)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    outputs = [child.communicate(timeout=30)[0].strip() for child in children]
    assert outputs == ["200"] * 5
    assert refreshes(second_process.backend) == before + 1
    assert second_process.record["generation"] == 2


async def test_killing_the_holder_releases_the_lock(second_process: SecondProcess) -> None:
    """While the holder lives, waiting for the lock ends after the timeout."""
    path = second_process.home / "new" / "a.lock"
    holder = second_process.start("holds the lock", str(path))
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Unreachable):
            async with ProcessLock(path).hold(0.05):
                pytest.fail("two processes hold the lock")
        with pytest.raises(Unreachable), SyncProcessLock(path).hold(0.05):
            pytest.fail("two processes hold the lock")
        holder.send_signal(signal.SIGKILL)
        with SyncProcessLock(path).hold(10):
            pass
        async with ProcessLock(path).hold(10):
            pass


async def test_a_program_that_holds_the_lock_and_stalls_holds_up_nobody(
    second_process: SecondProcess,
) -> None:
    """The server gives all programs the same result."""
    second_process.run("signs in")
    path = second_process.file.with_suffix(".lock")
    with second_process.start("holds the lock", str(path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        url = second_process.backend.url
        second_process.expire()
        assert Client.on_desktop(base_url=url, refresh_timeout=2).get("/api/me").status_code == 200
        second_process.expire()
        client = AsyncClient.on_desktop(base_url=url, refresh_timeout=2)
        assert (await client.get("/api/me")).status_code == 200
        holder.kill()
    assert second_process.record["generation"] == 3


def test_each_api_has_a_session_of_its_own(second_process: SecondProcess) -> None:
    """The file is named after the base URL; a trailing slash makes no difference."""
    second_process.run("signs in")
    assert Client.on_desktop(base_url=f"{second_process.backend.url}/").state == "active"
    assert Client.on_desktop(base_url="https://api.example").state == "anonymous"
    with pytest.raises(ValueError, match="base_url"):
        Client.on_desktop()


@pytest.fixture
def blocked(second_process: SecondProcess) -> SecondProcess:
    """No folder can be made for the session: a file has its name."""
    (second_process.home / "unexpired").write_text("in the way")
    return second_process


def test_without_a_writable_folder_the_session_lasts_until_the_process_ends(
    blocked: SecondProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is kept in memory, with a warning, and refreshed without the lock file."""
    client = Client.on_desktop(base_url=blocked.backend.url)
    with caplog.at_level(logging.WARNING):
        client.sign_in("ada", PASSWORDS["ada"])
        client.refresh()
    assert client.get("/api/me").status_code == 200
    assert client.diagnose()["generation"] == 2
    assert "file cannot be written" in caplog.text
    assert "lock file cannot be used" in caplog.text
    assert Client.on_desktop(base_url=blocked.backend.url).state == "anonymous"


async def test_without_a_writable_folder_an_async_client_works(blocked: SecondProcess) -> None:
    """It signs in, refreshes, calls and signs out."""
    client = AsyncClient.on_desktop(base_url=blocked.backend.url)
    await client.sign_in("ada", PASSWORDS["ada"])
    await client.refresh()
    assert (await client.get("/api/me")).status_code == 200
    await client.sign_out()
    with pytest.raises(NotSignedIn):
        await client.get("/api/me")


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff\xfe\x00", b"[]"])
def test_an_invalid_session_file_is_removed(second_process: SecondProcess, garbage: bytes) -> None:
    """The client is signed out, and a sign-in writes a new file."""
    second_process.run("signs in")
    file = second_process.file
    file.write_bytes(garbage)
    client = Client.on_desktop(base_url=second_process.backend.url)
    assert client.state == "anonymous"
    assert not file.exists()
    client.sign_in("ada", PASSWORDS["ada"])
    assert second_process.record["generation"] == 1


def test_a_failed_write_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is replaced whole or not at all, and the older session does not come back."""
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


def test_a_file_that_cannot_be_removed_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A sign-out that leaves the file behind logs a warning."""
    (tmp_path / "a.json").mkdir()
    FileStore(tmp_path / "a.json").clear()
    assert "cannot be removed" in caplog.text


class FakeKeyring(KeyringBackend):
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
def fake_keyring() -> Iterator[FakeKeyring]:
    usual, fake_keyring = keyring.get_keyring(), FakeKeyring()
    keyring.set_keyring(fake_keyring)
    yield fake_keyring
    keyring.set_keyring(usual)


def test_a_keyring_store_keeps_the_session_in_the_keyring(
    second_process: SecondProcess, fake_keyring: FakeKeyring
) -> None:
    """Not in a file; the next process finds it; a sign-out removes it."""
    store = KeyringStore("notes")
    client = Client.on_desktop(base_url=second_process.backend.url, store=store)
    client.sign_in("ada", PASSWORDS["ada"])
    assert list(fake_keyring.kept) == [("notes", "session")]
    again = Client.on_desktop(base_url=second_process.backend.url, store=KeyringStore("notes"))
    assert again.get("/api/me").status_code == 200
    again.sign_out()
    assert fake_keyring.kept == {}
    store.clear()  # Removing nothing is no error.
    assert client.ready().state == "anonymous"
    assert list(second_process.home.glob("**/*.json")) == []


def test_with_a_locked_keyring_the_session_is_kept_in_memory(
    second_process: SecondProcess, fake_keyring: FakeKeyring, caplog: pytest.LogCaptureFixture
) -> None:
    """It works until the process ends, with a warning."""
    fake_keyring.is_locked = True
    client = Client.on_desktop(base_url=second_process.backend.url, store=KeyringStore("notes"))
    client.sign_in("ada", PASSWORDS["ada"])
    assert client.get("/api/me").status_code == 200
    assert "kept in memory" in caplog.text
    fake_keyring.is_locked = False
    client.refresh()
    assert list(fake_keyring.kept) == [("notes", "session")]
