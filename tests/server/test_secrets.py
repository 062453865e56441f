"""Rotating a secret in two deploys, and key files as operators mount them."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.server.harness import StartServer, TestServer
from unexpired_server.cli import main
from unexpired_server.settings import Settings, SettingsError, load_settings
from unexpired_server.tokens import key_file
from unexpired_server.tokens.key_file import new_secret
from unexpired_server.tokens.keys import load_ring, reload_ring

STORES = ("sqlite", "postgres")
OLD, NEW = new_secret(), new_secret()


async def test_a_secret_is_rotated_in_two_deploys_and_back_and_nobody_is_signed_out(
    start: StartServer,
) -> None:
    before = await start(secret=OLD)
    ready = await start(secret=OLD, previous_secrets=(NEW,))
    rotated = await start(secret=NEW, previous_secrets=(OLD,))
    # Each deploy, and each roll-back of one, runs two of these beside each other.
    for nodes in ((before, ready), (ready, rotated), (rotated, ready), (ready, before)):
        for here, there in (nodes, nodes[::-1]):
            tokens = await here.sign_in()
            assert (await there.me(tokens["accessToken"])).status_code == 200
            renewed = await there.refreshed(tokens["refreshToken"])
            assert (await here.me(renewed["accessToken"])).status_code == 200
            assert (await here.refresh(renewed["refreshToken"])).status_code == 200


async def test_only_the_current_secret_signs_and_a_removed_one_is_refused(
    start: StartServer,
) -> None:
    rotated = await start(secret=NEW, previous_secrets=(OLD, OLD, NEW))
    old, done = await start(secret=OLD), await start(secret=NEW)
    assert load_ring(rotated.settings).active == load_ring(done.settings).active
    assert len(load_ring(rotated.settings).keys) == 2
    tokens = await old.sign_in()
    renewed = await rotated.refreshed(tokens["refreshToken"])
    assert (await done.me(renewed["accessToken"])).status_code == 200
    assert (await done.refresh(renewed["refreshToken"])).status_code == 200
    assert (await done.me(tokens["accessToken"])).json()["code"] == "INVALID_TOKEN"
    assert (await done.refresh(tokens["refreshToken"])).json()["code"] == "REFRESH_INVALID"


async def test_a_secret_gives_way_to_a_key_file_and_stays_known_when_the_file_changes(
    start: StartServer,
) -> None:
    old = await start(secret=OLD)
    moved: TestServer = await start(algorithm="EdDSA", previous_secrets=(OLD,))
    tokens = await old.sign_in()
    file = moved.settings.keys_file
    key_file.rotate(file, "EdDSA", moved.clock())
    reload_ring(moved.app.state.service.ring, file, moved.clock())
    assert (await moved.me(tokens["accessToken"])).status_code == 200
    assert (await moved.refresh(tokens["refreshToken"])).status_code == 200
    published = (await moved.http.get("/.well-known/jwks.json")).json()["keys"]
    assert [one["kty"] for one in published] == ["OKP", "OKP"]


def test_previous_secrets_are_as_strong_and_are_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for weak in ("secret", f"{OLD},short", "a" * 40, "[]x"):
        monkeypatch.setenv("UNEXPIRED_PREVIOUS_SECRETS", weak)
        with pytest.raises(SettingsError, match="previous_secrets") as caught:
            load_settings(secret=NEW)
        assert OLD not in str(caught.value)
    phrase = "#9fK,2v Lq!x8Zr%Wm3&Tb6*Yc1(Hd4)Gs7+Pn0=Je5"
    for text in (f"{OLD}, {NEW}", f"{OLD} {NEW}", json.dumps([OLD, phrase])):
        monkeypatch.setenv("UNEXPIRED_PREVIOUS_SECRETS", text)
        settings = load_settings(secret=NEW)
        assert len(settings.previous_secrets) == 2
        assert OLD not in repr(settings)
        assert OLD not in repr(load_ring(settings))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "keys.json"
    key_file.create(path, "HS256")
    return path


def seen_as(monkeypatch: pytest.MonkeyPatch, *, owner: int, group: int, mode: int) -> None:
    """Let files be as another machine has them; the tests may not run as root."""
    real = os.fstat

    def fstat(descriptor: int) -> object:
        state = real(descriptor)
        known = {name: getattr(state, name) for name in dir(state) if name.startswith("st_")}
        changed = {"st_mode": state.st_mode & ~0o777 | mode, "st_uid": owner, "st_gid": group}
        return SimpleNamespace(**{**known, **changed})

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "getegid", lambda: 1000)
    monkeypatch.setattr(os, "getgroups", lambda: [1000, 2000])


@pytest.mark.parametrize(
    ("owner", "group", "mode"),
    [
        (1000, 1000, 0o600), (1000, 1000, 0o400), (0, 2000, 0o440), (0, 2000, 0o640),
        (0, 1000, 0o440),
    ],
)  # fmt: skip
def test_a_key_file_may_be_its_owners_or_from_root_for_a_group_of_ours(
    file: Path, monkeypatch: pytest.MonkeyPatch, owner: int, group: int, mode: int
) -> None:
    seen_as(monkeypatch, owner=owner, group=group, mode=mode)
    assert key_file.read(file).keys


@pytest.mark.parametrize(
    ("owner", "group", "mode"),
    [
        (0, 3000, 0o440), (0, 2000, 0o444), (0, 2000, 0o644), (0, 2000, 0o660), (0, 2000, 0o450),
        (0, 2000, 0o441), (1000, 1000, 0o640), (1001, 2000, 0o440), (0, 2000, 0o604),
    ],
)  # fmt: skip
def test_a_key_file_that_anyone_else_can_read_or_change_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, owner: int, group: int, mode: int
) -> None:
    seen_as(monkeypatch, owner=owner, group=group, mode=mode)
    with pytest.raises(SettingsError, match="can be read by others; run: chmod 600"):
        key_file.read(file)


def test_a_mounted_secret_is_followed_when_its_folder_is_swapped(file: Path) -> None:
    """As Kubernetes updates it: the file is a link through ..data, which is replaced."""
    mounted, first, second = (file.parent.parent / name for name in ("mounted", "one", "two"))
    for folder in (mounted, first, second):
        folder.mkdir()
    now = 1_000.0
    (first / "keys.json").write_bytes(file.read_bytes())
    key_file.rotate(file, "HS256", now)
    (second / "keys.json").write_bytes(file.read_bytes())
    for folder in (first, second):
        (folder / "keys.json").chmod(0o600)
    (mounted / "..data").symlink_to(first)
    (mounted / "keys.json").symlink_to("..data/keys.json")
    path = mounted / "keys.json"
    ring = load_ring(Settings(keys_file=path), now)
    old = ring.active.kid
    (mounted / "..new").symlink_to(second)
    (mounted / "..new").replace(mounted / "..data")
    reload_ring(ring, path, now)
    assert ring.active.kid != old
    assert old in ring.keys


def test_a_rotation_writes_the_file_and_not_over_a_link_to_it(file: Path) -> None:
    link = file.parent.parent / "link.json"
    link.symlink_to(file)
    kid = key_file.rotate(link, "HS256", 5).kid
    assert link.is_symlink()
    assert kid in {key.kid for key in key_file.read(file).keys}


def test_a_folder_that_cannot_be_written_is_one_sentence(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> int:
        raise OSError(30, "Read-only file system")

    old, missing = load_ring(Settings(keys_file=file)), file.with_name("missing.json")
    with monkeypatch.context() as patched:
        patched.setattr(key_file, "_draft", refuse)
        for args in (["rotate", "--keys-file", str(file)], ["rotate", "--keys-file", str(missing)]):
            done = CliRunner().invoke(main, ["key", *args])
            assert done.exit_code == 2
            assert "cannot be written: Read-only file system" in done.stderr
        assert load_ring(Settings(keys_file=file)) == old
    pipe = file.with_name("pipe")
    os.mkfifo(pipe, 0o600)
    with pytest.raises(SettingsError, match="is not a file"):
        key_file.read(pipe)
