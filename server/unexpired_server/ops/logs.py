"""The configuration of the log: one line an event, and never a token in it."""

from __future__ import annotations

import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LOOKS_LIKE_A_TOKEN = re.compile(r"rt1\.[\w-]+|[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
"""Our own code never logs a token, but other code may quote one in a message."""


def without_tokens(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace everything that looks like a token."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = LOOKS_LIKE_A_TOKEN.sub("[token]", value)
    return event


def log_config(*, is_for_people: bool | None = None) -> dict[str, Any]:
    """Return a configuration for ``logging.config.dictConfig``, which logs to standard error.

    Args:
        is_for_people: Write plain lines in place of JSON; when None, only to a terminal.
    """
    is_plain = sys.stderr.isatty() if is_for_people is None else is_for_people
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if is_plain else structlog.processors.JSONRenderer()
    )
    ours = {"handlers": ["stderr"], "level": "INFO", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    without_tokens,
                    renderer,
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
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }
