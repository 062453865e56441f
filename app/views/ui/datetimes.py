"""Formats dates and times in the person's time zone and in the page's language."""

from __future__ import annotations

from functools import cache
from typing import Any

from js import Date, Intl, Object, document, navigator
from pyodide.ffi import to_js

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def show_time(element: Any, timestamp: str) -> None:
    """Show an ISO 8601 timestamp in a ``<time>`` element."""
    element.dateTime = timestamp
    element.textContent = _format(timestamp, dateStyle="medium", timeStyle="short")


def show_age(element: Any, timestamp: str) -> None:
    """Show in a ``<time>`` element how long ago a timestamp was; the tooltip has the exact time."""
    show_time(element, timestamp)
    element.title = element.textContent
    seconds = max(0, (Date.now() - Date.new(timestamp).getTime()) / 1000)
    unit, size = next((u for u in UNITS if seconds >= u[1]), UNITS[-1])
    formatter = Intl.RelativeTimeFormat.new(_locale(), _options(numeric="auto"))
    element.textContent = formatter.format(-int(seconds // size), unit)


def clock_time(milliseconds: float) -> str:
    """Return the time of day, with seconds, of a Unix time in milliseconds."""
    return _format(milliseconds, timeStyle="medium")


def date_and_time(milliseconds: float) -> str:
    """Return the date and the time of day of a Unix time in milliseconds."""
    return _format(milliseconds, dateStyle="medium", timeStyle="short")


def _format(timestamp: str | float, **options: str) -> str:
    return str(_formatter(**options).format(Date.new(timestamp)))


@cache
def _formatter(**options: str) -> Any:
    # To make one takes longer than to draw a note.
    return Intl.DateTimeFormat.new(_locale(), _options(**options))


def _locale() -> str:
    """Return the person's first locale in the page's language, such as en-GB."""
    language = document.documentElement.lang
    locales = (tag for tag in navigator.languages if tag.split("-")[0].lower() == language)
    return str(next(locales, language))


def _options(**options: str) -> Any:
    return to_js(options, dict_converter=Object.fromEntries)
