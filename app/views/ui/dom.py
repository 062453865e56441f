"""Helpers for the document: templates, event listeners, tasks, busy states and alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from js import document, matchMedia
from pyodide.ffi import create_proxy

# asyncio keeps only weak references to tasks; without these, one could be garbage collected while
# it runs.
_tasks: set[asyncio.Task[None]] = set()


def clone_template(template_id: str) -> Any:
    """Return a copy of the only element in a template."""
    content = document.getElementById(template_id).content
    return document.importNode(content.firstElementChild, True)  # noqa: FBT003 - JavaScript has no keywords.


def listen(target: Any, event: str, handler: Callable[[Any], object]) -> None:
    """Call the handler on each event, until the page closes."""
    target.addEventListener(event, create_proxy(handler))


def listen_async(
    target: Any, event: str, handler: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """Run the handler as a task on each event, until the page closes."""
    listen(target, event, lambda js_event: start_task(handler(js_event)))


def start_task(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a coroutine in the background."""
    task = asyncio.ensure_future(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def is_busy(element: Any) -> bool:
    """Return whether the element is marked as busy."""
    return bool(element.getAttribute("aria-busy") == "true")


@contextmanager
def busy(element: Any) -> Iterator[None]:
    """Mark the element as busy while the block runs."""
    element.setAttribute("aria-busy", "true")
    try:
        yield
    finally:
        element.removeAttribute("aria-busy")


def show_alert(alert: Any, message: str = "", *, kind: str = "error") -> None:
    """Show a message in an alert, or clear the alert."""
    alert.dataset.kind = kind
    alert.textContent = message


def prefers_reduced_motion() -> bool:
    """Return whether the person has asked the system for less motion."""
    return bool(matchMedia("(prefers-reduced-motion: reduce)").matches)
