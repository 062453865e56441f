"""Database URLs, as people and hosting companies write them.

asyncpg reads the address and its options; here they are checked first, so that a mistake is one
sentence when the server starts. No message quotes a value: it could be part of a password.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from unexpired_server.settings import SettingsError

DEFAULT_PORT = 5432
APPLICATION_NAME = "unexpired"

POSTGRES_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
SQLITE_SCHEMES = frozenset({"sqlite", "sqlite+aiosqlite"})

ENCRYPTIONS = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
TARGETS = frozenset({"any", "primary", "read-write"})

DRIVER_OPTIONS = frozenset(
    {
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslcrl",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "passfile",
        "service",
        "krbsrvname",
        "gsslib",
    }
)
"""What asyncpg itself reads from a URL."""

FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"})

OWN_OPTIONS = frozenset(
    {
        "host",
        "port",
        "dbname",
        "database",
        "user",
        "password",
        "application_name",
        "fallback_application_name",
        "connect_timeout",
        "options",
        "target_session_attrs",
        "ssl",
        "channel_binding",
        "pgbouncer",
    }
)

HOST = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class SQLiteFile:
    """A SQLite file.

    Attributes:
        path: Where it is.
    """

    path: Path


@dataclass(frozen=True)
class PostgresServer:
    """Where PostgreSQL is, and how to connect to it.

    Attributes:
        hosts: Names and ports, in the order in which they are tried; None is the system's default.
        arguments: For ``asyncpg.connect``; they contain the password.
        connect_timeout: Seconds to wait for all hosts together; the caller's default when None.
        target: Which of several hosts is used: any, the primary, or one that accepts writes.
        is_pooled: Whether the URL says that a connection pooler is in between.
    """

    hosts: tuple[tuple[str, int] | None, ...]
    arguments: dict[str, Any] = field(repr=False)
    connect_timeout: float | None
    target: str
    is_pooled: bool


def parse(text: str) -> SQLiteFile | PostgresServer:
    """Read a database URL.

    Raises:
        SettingsError: It cannot be used; the message contains no value of it.
    """
    scheme, found, _ = text.partition("://")
    if not found:
        _refuse("is not a database URL")
    if scheme not in SQLITE_SCHEMES | POSTGRES_SCHEMES:
        _refuse(
            "the server has its own driver; begin the URL with postgresql:// or sqlite:///"
            if scheme.startswith(("postgres", "sqlite"))
            else "only SQLite and PostgreSQL are supported"
        )
    return _sqlite(text) if scheme in SQLITE_SCHEMES else _postgres(text)


def sqlite_url(file: SQLiteFile, driver: str) -> URL:
    """Return SQLAlchemy's URL of a SQLite file."""
    return URL.create(driver, database=str(file.path))


def _sqlite(text: str) -> SQLiteFile:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        _refuse("is not a database URL")
    if url.query:
        _refuse(f"SQLite has no option {_names(url.query)}")
    if not url.database or url.database == ":memory:":
        _refuse("SQLite needs a file, such as sqlite:///data/unexpired.sqlite3")
    return SQLiteFile(Path(url.database))


def _postgres(text: str) -> PostgresServer:
    address, _, query = text.partition("://")[2].partition("?")
    authority, _, database = address.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    options = _options(query)
    arguments = {
        "user": unquote(user) or options.get("user"),
        "password": unquote(password) or options.get("password"),
        "database": unquote(database) or options.get("dbname") or options.get("database"),
        "dsn": _driver_url(options),
        "ssl": _system_certificates(options),
        "server_settings": _server_settings(options),
    }
    found = _hosts(hosts or options.get("host", ""), options.get("port", ""))
    return PostgresServer(
        hosts=found,
        arguments={name: value for name, value in arguments.items() if value is not None},
        connect_timeout=_connect_timeout(options),
        target=_one_of(options, "target_session_attrs", TARGETS)
        or ("read-write" if len(found) > 1 else "any"),
        is_pooled=options.get("pgbouncer", "") in {"1", "true", "yes", "on"},
    )


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        # SQLAlchemy repeats the host, libpq separates hosts by commas.
        both = name in {"host", "port"} and name in options
        options[name] = f"{options[name]},{value}" if both else value
    unknown = set(options) - DRIVER_OPTIONS - OWN_OPTIONS
    if unknown:
        _refuse(f"PostgreSQL has no option {_names(unknown)} here")
    if options.get("channel_binding") == "require":
        _refuse(
            "channel_binding=require is not possible with the server's driver; leave it out, and "
            "use sslmode=verify-full"
        )
    if "ssl" in options:  # The name that the driver has in Python.
        options.setdefault("sslmode", options.pop("ssl"))
    _one_of(options, "sslmode", ENCRYPTIONS)
    return options


def _driver_url(options: dict[str, str]) -> str:
    kept = {name: value for name, value in options.items() if name in DRIVER_OPTIONS and value}
    if kept.get("sslrootcert") == "system":
        kept = {name: v for name, v in kept.items() if not name.startswith("ssl")}
    for name in FILES & set(kept):
        if not Path(kept[name]).is_file():
            _refuse(f"there is no file where {name} says")
    if kept.get("sslmode", "").startswith("verify") and not _has_authorities(kept):
        _refuse(
            f"sslmode={kept['sslmode']} needs sslrootcert: a file with certificates, or system for "
            "those that the operating system trusts"
        )
    return f"postgresql://?{urlencode(kept, quote_via=quote)}" if kept else "postgresql://"


def _has_authorities(options: dict[str, str]) -> bool:
    default = Path("~/.postgresql/root.crt").expanduser()
    return bool(options.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or default.exists())


def _system_certificates(options: dict[str, str]) -> ssl.SSLContext | None:
    # libpq's name for the authorities that the operating system trusts.
    return ssl.create_default_context() if options.get("sslrootcert") == "system" else None


def _server_settings(options: dict[str, str]) -> dict[str, str]:
    name = options.get("application_name") or options.get("fallback_application_name")
    settings = {"application_name": name or APPLICATION_NAME}
    return settings | ({"options": options["options"]} if options.get("options") else {})


def _connect_timeout(options: dict[str, str]) -> float | None:
    text = options.get("connect_timeout", "")
    if not text:
        return None
    if not re.fullmatch(r"\d{1,6}", text):
        _refuse("connect_timeout must be a whole number of seconds")
    return float(text) or None


def _hosts(text: str, ports: str) -> tuple[tuple[str, int] | None, ...]:
    if not text:
        return (("localhost", _port(ports)),) if ports else (None,)
    names = text.split(",")
    defaults = ports.split(",") if ports else [""]
    if len(defaults) == 1:
        defaults *= len(names)
    if len(defaults) != len(names):
        _refuse("it has more hosts than ports, or fewer")
    return tuple(_host(name, port) for name, port in zip(names, defaults, strict=True))


def _host(text: str, port: str) -> tuple[str, int]:
    if text.startswith("/"):  # The folder of a Unix socket.
        return text, _port(port)
    match = HOST.fullmatch(text)
    if not match:
        _refuse(
            "a host or a port is malformed; in a password write special characters as %40 for @, "
            "%3A for : and %2F for /"
        )
    return unquote(match["ipv6"] or match["name"] or "localhost"), _port(match["port"] or port)


def _port(text: str) -> int:
    if text and not (text.isdecimal() and 0 < int(text) < 2**16):
        _refuse("a port must be a number between 1 and 65535")
    return int(text) if text else DEFAULT_PORT


def _one_of(options: dict[str, str], name: str, allowed: frozenset[str]) -> str | None:
    value = options.get(name) or None
    if value is not None and value not in allowed:
        _refuse(f"{name} must be one of {', '.join(sorted(allowed))}")
    return value


def _names(names: Iterable[str]) -> str:
    # Only what looks like a name: a stray ? or & in a password makes an option of its rest.
    return " or ".join(sorted(n if n.isidentifier() else "with such a name" for n in names))


def _refuse(reason: str) -> NoReturn:
    raise SettingsError(f"Setting database_url: {reason}")
