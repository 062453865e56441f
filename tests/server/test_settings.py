"""Settings: their sources, and those that stop the server."""

import json
from pathlib import Path

import pytest

from unexpired_server.settings import SettingsError, load_settings
from unexpired_server.tokens.key_file import new_secret
from unexpired_server.tokens.keys import load_ring


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings()
    assert (settings.access_ttl, settings.leeway, settings.refresh_grace) == (900, 60, 30)
    assert settings.refresh_idle_ttl == 7 * 86_400
    assert settings.refresh_absolute_ttl == 30 * 86_400
    assert settings.refresh
    assert settings.rotation
    assert not settings.demo
    assert not settings.strict_rfc6750


def test_the_environment_is_read_and_flags_win_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNEXPIRED_ACCESS_TTL", "120")
    monkeypatch.setenv("UNEXPIRED_LEEWAY", "5")
    monkeypatch.setenv("UNEXPIRED_CORS_ORIGINS", "https://a.example, https://b.example")
    settings = load_settings(access_ttl="60", leeway=None)
    assert (settings.access_ttl, settings.leeway) == (60, 5)
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_a_demo_has_short_tokens_and_its_own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(demo=True)
    assert (settings.access_ttl, settings.leeway) == (20, 0)
    assert settings.database_url != load_settings().database_url
    assert settings.keys_file != load_settings().keys_file
    monkeypatch.setenv("UNEXPIRED_DEMO", "1")
    monkeypatch.setenv("UNEXPIRED_LEEWAY", "7")
    settings = load_settings(access_ttl="3")
    assert (settings.demo, settings.access_ttl, settings.leeway) == (True, 3, 7)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.com", "::"])  # noqa: S104
def test_a_demo_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(SettingsError, match="loopback only"):
        load_settings(demo=True, host=host)
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert load_settings(demo=True, host=loopback).host == loopback


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_ttl", "soon"), ("access_ttl", "0"), ("access_ttl", "-5"), ("leeway", "1e9"),
        ("port", "70000"), ("refresh_grace", "-1"), ("refresh_grace", "nan"), ("issuer", ""),
        ("cors_origins", "*"), ("cors_origins", "a.example"), ("cors_origins", "https://a/b"),
        ("cors_origins", "https://[a"), ("cors_origins", "https://a:x"),
        ("refresh_idle_ttl", "inf"), ("refresh", "perhaps"),
    ],
)  # fmt: skip
def test_an_invalid_setting_is_named_in_one_sentence(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as problem:
        load_settings(**{name: value})
    assert f"Setting {name}:" in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    "secret",
    [
        "secret", "changeme", "your-256-bit-secret", "a-string-secret-at-least-256-bits-long",
        "short", "x" * 64, "0" * 64, "0123456789abcdef" * 4, "abc" * 30,
        "thisismysupersecretkeythisismysupersecretkey", "SECRET-secret-SECRET-secret-SECRET",
        "correct horse battery staple correct horse battery staple",
        "the quick brown fox jumps over the lazy dog and runs away",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "", "\U0001f600" * 20,
    ],
)  # fmt: skip
def test_a_weak_secret_stops_the_server_without_being_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as problem:
        load_settings(secret=secret)
    assert "unexpired-server secret" in str(problem.value)
    assert len(secret) < 10 or secret not in str(problem.value)


def test_a_fresh_secret_is_always_strong_enough() -> None:
    for _ in range(2000):
        assert load_settings(secret=new_secret()).secret is not None


def test_a_secret_may_be_written_in_hex_or_base64_and_means_the_same_key() -> None:
    raw = bytes.fromhex("9f1c4be07a25d3688e02b7f4516acd93e8417fb05c29d6a43b80f2195e6c7da1")
    spellings = (raw.hex(), "nxxL4Hol02iOArf0UWrNk+hBf7BcKdakO4DyGV5sfaE=")
    rings = [load_ring(load_settings(secret=text)) for text in spellings]
    assert {ring.active.secret for ring in rings} == {raw}
    assert len({ring.active.kid for ring in rings}) == 1


def test_no_repr_contains_a_key(tmp_path: Path) -> None:
    secret = new_secret()
    settings = load_settings(secret=secret)
    ring = load_ring(settings)
    file_ring = load_ring(load_settings(keys_file=tmp_path / "keys.json"))
    for text in (repr(settings), str(settings), repr(ring), repr(file_ring), f"{ring.active}"):
        assert secret[:6] not in text
        assert repr(ring.active.secret)[2:8] not in text
        assert repr(file_ring.active.secret)[2:8] not in text
    assert ring.active.kid in repr(ring)


def test_a_key_file_is_created_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "keys.json"
    first = load_ring(load_settings(keys_file=file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert list(file.parent.iterdir()) == [file]
    assert load_ring(load_settings(keys_file=file)) == first


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o644])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys.json"
    load_ring(load_settings(keys_file=file))
    file.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_ring(load_settings(keys_file=file))


ENTRY = '{"kid": "abababababababab", "alg": "%s", "secret": "%s"}'
GOOD = "9f1c4be07a25d3688e02b7f4516acd93e8417fb05c29d6a43b80f2195e6c7da1"


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "{}", '{"active": "x", "keys": []}',
        '{"active": "x", "keys": [%s]}' % (ENTRY % ("HS256", GOOD)),
        '{"active": "abababababababab", "keys": [%s]}' % (ENTRY % ("none", GOOD)),
        '{"active": "abababababababab", "keys": [%s]}' % (ENTRY % ("HS256", "secret")),
        '{"active": "abababababababab", "keys": ["x"]}',
    ],
)  # fmt: skip
def test_a_damaged_or_weak_key_file_is_refused_in_one_sentence(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError, match="key file"):
        load_ring(load_settings(keys_file=file))


def test_a_key_file_may_hold_several_keys_of_which_one_signs(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    entries = [
        {"kid": "ab" * 8, "alg": "HS256", "secret": GOOD},
        {"kid": "cd" * 8, "alg": "HS256", "secret": GOOD[::-1]},
    ]
    file.write_text(json.dumps({"active": "cd" * 8, "keys": entries}))
    file.chmod(0o600)
    ring = load_ring(load_settings(keys_file=file))
    assert ring.active.kid == "cd" * 8
    assert set(ring.keys) == {"ab" * 8, "cd" * 8}


def test_two_processes_that_start_at_once_agree_on_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.json"
    first = load_ring(load_settings(keys_file=file))
    # The second process looked before the first had written.
    looks = iter([False])
    original = Path.exists
    monkeypatch.setattr(
        Path, "exists", lambda self: next(looks, None) or (self != file and original(self))
    )
    assert load_ring(load_settings(keys_file=file)) == first
