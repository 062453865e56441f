"""Instants in the person's own time zone, in the language of the page."""

from typing import Any

from js import Date, Intl, Object, document, navigator
from pyodide.ffi import to_js

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def show_time(element: Any, instant: str) -> None:
    """Show an ISO 8601 instant in a time element."""
    element.dateTime = instant
    element.textContent = _formatted(instant, dateStyle="medium", timeStyle="short")


def show_age(element: Any, instant: str) -> None:
    """Show in a time element how long ago an ISO 8601 instant was, and when on demand."""
    show_time(element, instant)
    element.title = element.textContent
    seconds = max(0, (Date.now() - Date.new(instant).getTime()) / 1000)
    unit, size = next((u for u in UNITS if seconds >= u[1]), UNITS[-1])
    wording = Intl.RelativeTimeFormat.new(_variety(), _options(numeric="auto"))
    element.textContent = wording.format(-int(seconds // size), unit)


def clock_time(milliseconds: float) -> str:
    """A time of day with its seconds, from Unix milliseconds."""
    return _formatted(milliseconds, timeStyle="medium")


def _formatted(instant: str | float, **options: str) -> str:
    formatter = Intl.DateTimeFormat.new(_variety(), _options(**options))
    return str(formatter.format(Date.new(instant)))


def _variety() -> str:
    """The person's own variety of the page's language, such as en-GB."""
    language = document.documentElement.lang
    varieties = (tag for tag in navigator.languages if tag.split("-")[0].lower() == language)
    return str(next(varieties, language))


def _options(**options: str) -> Any:
    return to_js(options, dict_converter=Object.fromEntries)
