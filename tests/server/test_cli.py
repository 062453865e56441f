"""The command line: what clients sent cannot control a terminal, and no password is an argument."""

import asyncio
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.server.harness import HASHER, PASSWORD
from unexpired_server.cli import main, shown
from unexpired_server.service import Service
from unexpired_server.settings import Settings

HOSTILE = (
    "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\u202eevil\u2066\u200b\u2028\x00\x7f\r\nfake line\ud800"
)


def test_no_text_controls_a_terminal() -> None:
    text = shown(f"Zo\u00eb \U0001f40e {HOSTILE}")
    assert text.startswith("Zo\u00eb \U0001f40e \\x1b]52;c;")
    assert all(one.isprintable() for one in text)
    assert "evil" in text


def test_a_device_and_a_name_are_shown_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings()

    async def sign_in() -> None:
        service = Service(settings, hasher=HASHER)
        async with service.running():
            await service.users.add("ada", HASHER.hash(PASSWORD), time.time())
            user = await service.users.find("ada")
            assert user is not None
            await service.sessions.open(user, HOSTILE.replace("\x00", "").replace("\ud800", ""))

    asyncio.run(sign_in())
    listed = CliRunner().invoke(main, ["session", "list"])
    assert listed.exit_code == 0
    assert len(listed.stdout.splitlines()) == 1
    assert all(one.isprintable() for one in listed.stdout.rstrip("\n"))
    for command in (["user", "disable"], ["session", "list"]):
        refused = CliRunner().invoke(main, [*command, "x\x1b[2J"])
        assert refused.exit_code == 2
        assert "\x1b" not in refused.stderr
        assert "There is no user x\\x1b[2J." in refused.stderr


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("postgresql://app:hunter2@db/x", True), ("postgresql://app@db/x?password=hunter2", True),
        ("postgresql+asyncpg://app:p%40ss@db/x", True), ("redis://:hunter2@h:6379/0", True),
        ("rediss://u:hunter2@h/0?x=1", True), ("postgresql://h/x?a=b&PASSWORD=hunter2", True),
        ("postgresql://app@db:5432/x", False), ("redis://h:6379/0", False),
        ("sqlite+aiosqlite:///a:b@c.sqlite3", False), ("postgresql://app@db/x?sslmode=on", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--database-url", "--rate-limit-url"])
def test_a_password_on_the_command_line_is_refused_and_the_variable_is_named(
    url: str, option: str, *, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[object] = []
    monkeypatch.setattr("unexpired_server.cli.load_settings", reached.append)
    done = CliRunner().invoke(main, ["serve", option, url])
    assert ("list of processes" in done.stderr.replace("\n", " ")) is is_refused
    if is_refused:
        assert done.exit_code == 2
        assert f"UNEXPIRED_{option[2:].upper().replace('-', '_')}" in done.stderr
        assert "hunter2" not in done.output
