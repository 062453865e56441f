"""The configuration of the log: one line an event, never a token or a control character in it."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import structlog
from structlog.contextvars import get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from unexpired_server.settings import LogLevel

ACCESS_LOGGER = "unexpired.access"

LOOKS_LIKE_A_TOKEN = re.compile(r"rt1\.[\w-]+|[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
"""Our own code never logs a token, but other code may quote one in a message."""

UNSAFE_IN_A_TERMINAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # Escape sequences set colours, titles and the clipboard.
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # Bidirectional controls reorder what is read.
    "\u2028\u2029"  # Some viewers break lines here, so that a client could write lines.
    "\ud800-\udfff\U000e0000-\U000e007f]"  # Surrogates cannot be encoded; tags are invisible.
)
"""All but tabs and newlines, which tracebacks have; no client's text may hold the others."""

COLOURED = "color_message"
"""uvicorn's message once more, with colours."""

DEPTH = 4
"""How deep dictionaries and lists are cleaned; deeper ones are logged as their ``repr``."""


def cleaned(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace everything that looks like a token, and escape what would control a terminal."""
    return {name: _cleaned(value, DEPTH) for name, value in event.items() if name != COLOURED}


def _cleaned(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict) and depth:
        return {_safe(str(name)): _cleaned(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [_cleaned(item, depth - 1) for item in value]
    return _safe(value if isinstance(value, str) else repr(value))


def _safe(text: str) -> str:
    return UNSAFE_IN_A_TERMINAL.sub(_escaped, LOOKS_LIKE_A_TOKEN.sub("[token]", text))


def _escaped(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def indented(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Indent all but the first line of a text, so that none of them looks like a log line."""
    return {
        name: value.replace("\n", "\n    ") if isinstance(value, str) else value
        for name, value in event.items()
    }


class JSONFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders the line of a request itself; structlog's processors take eight times as long."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        # What the host's own code has bound to the context goes through the processors.
        if isinstance(record, AccessRecord) and get_contextvars().keys() <= {"request_id"}:
            return _access_line(record)
        return super().format(record)


class AccessRecord(logging.LogRecord):
    """The record of a request; made directly, because a logger would first look for its caller.

    Args:
        level: Its severity.
        method: Its method, in letters.
        route: The pattern of its path.
        status: The response's status.
        ms: How long it took, in milliseconds.
        request_id: Its id, without any character that JSON escapes.
    """

    def __init__(  # noqa: PLR0913 - a line has these fields
        self, level: int, *, method: str, route: str, status: int, ms: float, request_id: str
    ) -> None:
        # LogRecord's own constructor would find out about its place in the code, the process and
        # the thread for each, which takes as long as all else that is done for the line.
        vars(self).update(_BLANK)
        self.created = created = time.time()
        self.msecs = created % 1 * 1000
        self.relativeCreated = (created - _BEGAN) * 1000
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.msg = method
        self.route = route
        self.status = status
        self.ms = ms
        self.request_id = request_id


def _blank() -> dict[str, Any]:
    record = logging.LogRecord(ACCESS_LOGGER, logging.INFO, "", 0, "", None, None)
    # As with `logging.logThreads = False` and the like, which handlers know.
    unknown = dict.fromkeys(("thread", "threadName", "process", "processName"))
    return vars(record) | unknown


_BLANK = _blank()
"""What the records of all requests have in common."""

_BEGAN = _BLANK["created"] - _BLANK["relativeCreated"] / 1000
"""When ``logging`` was imported, in Unix seconds."""


def _access_line(record: AccessRecord) -> str:
    second, fraction = divmod(record.created, 1)
    return (
        f'{{"event": "{record.msg}", "request_id": "{record.request_id}", '
        f'"level": "{record.levelname.lower()}", "logger": "{ACCESS_LOGGER}", '
        f'"route": {_json(record.route)}, "status": {record.status}, "ms": {record.ms}, '
        f'"timestamp": "{_iso(second)}.{int(fraction * 1e6):06}Z"}}'
    )


@lru_cache(256)  # An application has as many routes as its code says.
def _json(route: str) -> str:
    return json.dumps(_safe(route))


@lru_cache(1)
def _iso(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def log_config(level: LogLevel = "info", *, is_for_people: bool | None = None) -> dict[str, Any]:
    """Return a configuration for ``logging.config.dictConfig``, which logs to standard error.

    Args:
        level: The least severe lines that are logged; of other libraries at least warnings.
        is_for_people: Write plain lines in place of JSON; when None, only to a terminal.
    """
    is_plain = sys.stderr.isatty() if is_for_people is None else is_for_people
    renderers: list[Processor] = (
        [indented, structlog.dev.ConsoleRenderer()]
        if is_plain
        else [structlog.processors.JSONRenderer()]
    )
    ours = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter if is_plain else JSONFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    cleaned,
                    *renderers,
                ],
                "foreign_pre_chain": [
                    structlog.contextvars.merge_contextvars,
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.ExtraAdder(),
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    structlog.processors.format_exc_info,
                ],
            }
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "structured",
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": {"uvicorn": ours, "unexpired": ours},
        "root": {"handlers": ["stderr"], "level": "ERROR" if level == "error" else "WARNING"},
    }
