"""How failures of the database are named, counted and logged."""

import logging
import sqlite3

import asyncpg
import pytest
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tests.support.clock import FakeClock
from unexpired_server.storage import failures
from unexpired_server.storage.failures import FailureLog

VALUE = "s3cret"


def of_sqlite(name: str) -> DBAPIError:
    original = sqlite3.OperationalError(VALUE)
    original.sqlite_errorname = name
    return DBAPIError("SELECT ?", (VALUE,), original)


def of_postgres(code: str) -> BaseException:
    exc: BaseException = asyncpg.PostgresError.new({"C": code, "M": VALUE})
    return exc


@pytest.mark.parametrize(
    ("exc", "text", "label"),
    [
        (of_postgres("25006"), "it accepts no writes (25006)", "25"),
        (of_postgres("53100"), "its disk is full (53100)", "53"),
        (of_postgres("42P01"), "UndefinedTableError (42P01)", "42"),
        (of_postgres("ZZ123"), "PostgresError (ZZ123)", "other"),
        (of_sqlite("SQLITE_FULL"), "its disk is full (SQLITE_FULL)", "SQLITE_FULL"),
        (of_sqlite("SQLITE_BUSY_SNAPSHOT"), "another process holds its lock", "SQLITE_BUSY"),
        (TimeoutError(VALUE), "it did not answer in time (TimeoutError)", "timeout"),
        (PoolTimeoutError(VALUE), "TimeoutError", "timeout"),
        (ConnectionResetError(VALUE), "ConnectionResetError", "connection"),
        (BufferError(VALUE), "BufferError", "other"),
    ],
)
def test_a_failure_has_words_a_code_and_a_label_but_no_values(
    exc: BaseException, text: str, label: str
) -> None:
    assert text in failures.describe(exc)
    assert VALUE not in failures.describe(exc)
    assert failures.label_of(exc) == label


def test_what_one_statement_did_wrong_is_no_outage() -> None:
    assert not failures.is_outage(IntegrityError("", None, Exception()))
    assert not failures.is_outage(DataError("", None, Exception()))
    assert failures.is_outage(of_sqlite("SQLITE_BUSY"))


def test_an_outage_is_logged_when_it_begins_once_a_minute_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    counted: list[str] = []
    log = FailureLog(counted.append, clock.monotonic)
    log.succeeded()
    for _ in range(1800):
        log.failed(TimeoutError())
        log.succeeded()  # Reads may work while writes fail.
        clock.advance(0.1)
    log.failed(of_postgres("25006"))
    clock.advance(failures.QUIET_SECONDS)
    log.succeeded()
    log.succeeded()
    assert len(counted) == 1801
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "the database fails: it did not answer in time (TimeoutError)"
    assert len([m for m in messages if "still fails" in m]) == 2
    assert messages[-2:] == [
        "the database fails: it accepts no writes (25006)",
        "the database works again, after 1801 failures in 180 s",
    ]
