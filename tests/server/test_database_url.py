"""Database URLs as people and hosting companies write them, and what is refused."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.server.stores import POSTGRES, Postgres, rows
from unexpired_server.settings import SettingsError
from unexpired_server.storage.database import Database
from unexpired_server.storage.database_url import PostgresServer, SQLiteFile, parse

SECRET = "s3cr/t@:?#"
ENCODED = "s3cr%2Ft%40%3A%3F%23"


def server(url: str) -> PostgresServer:
    parsed = parse(url)
    assert isinstance(parsed, PostgresServer)
    return parsed


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_name_of_the_scheme_is_the_same(scheme: str) -> None:
    found = server(f"{scheme}://app:{ENCODED}@db.example:6432/un%20expired")
    assert found.hosts == (("db.example", 6432),)
    expected = {"user": "app", "password": SECRET, "database": "un expired"}
    assert found.arguments.items() >= expected.items()


@pytest.mark.parametrize(
    ("url", "hosts", "target"),
    [
        ("postgresql://a:1,b:2/db", (("a", 1), ("b", 2)), "read-write"),
        ("postgresql://u@a,b/db?port=7", (("a", 7), ("b", 7)), "read-write"),
        ("postgresql:///db?host=a&host=b", (("a", 5432), ("b", 5432)), "read-write"),
        ("postgresql:///db?host=a:1&host=b:2", (("a", 1), ("b", 2)), "read-write"),
        ("postgresql:///db?host=a,b&port=1,2", (("a", 1), ("b", 2)), "read-write"),
        ("postgresql://a,b/db?target_session_attrs=any", (("a", 5432), ("b", 5432)), "any"),
        ("postgresql://a/db?target_session_attrs=primary", (("a", 5432),), "primary"),
        ("postgresql://[2001:db8::1]:7/db", (("2001:db8::1", 7),), "any"),
        ("postgresql:///db?host=/run/postgresql", (("/run/postgresql", 5432),), "any"),
        ("postgresql://%2Frun%2Fpostgresql/db", (("/run/postgresql", 5432),), "any"),
        ("postgresql:///db", (None,), "any"),
    ],
)
def test_hosts_are_found_wherever_they_are_written(url: str, hosts: Any, target: str) -> None:
    found = server(url)
    assert (found.hosts, found.target) == (hosts, target)


def test_options_reach_the_driver() -> None:
    found = server(
        "postgres://a/db?sslmode=require&application_name=shop&connect_timeout=3"
        "&options=-c%20statement_timeout%3D5s"
    )
    assert found.arguments["dsn"] == "postgresql://?sslmode=require"
    assert found.arguments["server_settings"] == {
        "application_name": "shop",
        "options": "-c statement_timeout=5s",
    }
    assert found.connect_timeout == 3
    assert server("postgresql+asyncpg://a/db?ssl=require").arguments["dsn"].endswith("=require")


def test_certificates_are_a_file_or_those_of_the_system(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    found = server(f"postgres://a/db?sslmode=verify-full&sslrootcert={file}")
    assert f"sslrootcert={file}".replace("/", "%2F") in found.arguments["dsn"].replace("/", "%2F")
    found = server("postgres://a/db?sslmode=verify-full&sslrootcert=system")
    assert found.arguments["ssl"].verify_mode is ssl.CERT_REQUIRED
    assert found.arguments["ssl"].check_hostname


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///x.sqlite3?mode=ro", "no option mode"),
        ("mysql://u:hunter2@h/db", "only SQLite and PostgreSQL"),
        ("oracle+nothing://u:hunter2@h/db", "only SQLite and PostgreSQL"),
        ("postgresql+psycopg2://u:hunter2@h/db", "own driver"),
        ("sqlite+pysqlite:///x", "own driver"),
        ("postgres://u:hunter2@h/db?keepalives=1", "no option keepalives"),
        ("postgres://u:hunter2@h/db?sslmode=yes", "sslmode must be one of"),
        ("postgres://u:hunter2@h/db?target_session_attrs=standby", "must be one of"),
        ("postgres://u:hunter2@h/db?connect_timeout=soon", "whole number"),
        ("postgres://u:hunter2@h/db?channel_binding=require", "channel_binding"),
        ("postgres://u:hunter2@h/db?sslrootcert=/no/such/file", "sslrootcert"),
        ("postgres://u:hunter2@h:99999/db", "between 1 and 65535"),
        ("postgres://u:hunter2@a,b/db?port=1,2,3", "more hosts than ports"),
        ("postgres://u:hun/ter2@h/db", "special characters"),
        ("postgres://u:hun?ter2@h/db", "no option"),
        ("postgres://u:[hunter2@[h/db", "special characters"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_without_the_password(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        Database(url)
    text = str(caught.value)
    assert text.startswith("Setting database_url: ")
    assert "\n" not in text
    assert not any(part in text for part in ("hunter2", "ter2", "hun"))


def test_verified_encryption_needs_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    with pytest.raises(SettingsError, match="sslrootcert"):
        Database("postgres://a/db?sslmode=verify-full")


def test_the_password_is_in_no_representation() -> None:
    assert "s3cr" not in repr(server(f"postgres://app:{ENCODED}@h/db"))


def test_a_sqlite_path_may_be_relative_or_absolute() -> None:
    assert parse("sqlite:///data/x") == SQLiteFile(Path("data/x"))
    assert parse("sqlite+aiosqlite:////data/x") == SQLiteFile(Path("/data/x"))


@pytest.mark.parametrize("options", ["?sslmode=prefer", "?application_name=shop&connect_timeout=2"])
async def test_such_urls_connect(options: str) -> None:
    if trouble := await _trouble():
        pytest.skip(trouble)
    address = POSTGRES.replace("postgresql+asyncpg", "postgres")
    database = Database(f"{address}{options}")
    assert await database.problem() == (
        "The database's tables are not those of this version; run: unexpired-server migrate"
    )
    await database.close()


async def test_encryption_that_the_server_lacks_is_an_outage_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    if trouble := await _trouble():
        pytest.skip(trouble)
    if await rows(POSTGRES, "SELECT 1 FROM pg_settings WHERE name = 'ssl' AND setting = 'on'"):
        pytest.skip("this PostgreSQL has encryption")
    database = Database(f"{POSTGRES}?sslmode=require")
    assert "The database fails: " in str(await database.problem())
    assert len(caplog.records) == 1
    await database.close()


async def _trouble() -> str | None:
    return await asyncio.to_thread(Postgres.trouble)
