"""The few things that the views ask of the document."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from js import document
from pyodide.ffi import create_proxy

# asyncio keeps only weak references to tasks: one that nobody holds may vanish half way.
_running: set[asyncio.Task[None]] = set()


def stamp(template: str) -> Any:
    """Return a fresh copy of the one element in the template of that id."""
    content = document.getElementById(template).content
    return document.importNode(content.firstElementChild, True)  # noqa: FBT003 - JavaScript has no keywords.


def listen(target: Any, event: str, handler: Callable[[Any], None]) -> None:
    """Call the handler on each such event for as long as the page lives."""
    target.addEventListener(event, create_proxy(handler))


def listen_async(
    target: Any, event: str, handler: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """Run the handler as a task on each such event for as long as the page lives."""
    listen(target, event, lambda js_event: start(handler(js_event)))


def start(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end without waiting for it."""
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)


def is_busy(element: Any) -> bool:
    """Whether the element shows that something is under way."""
    return bool(element.getAttribute("aria-busy") == "true")


@contextmanager
def busy(element: Any) -> Iterator[None]:
    """Show on the element that something is under way, for as long as it is."""
    element.setAttribute("aria-busy", "true")
    try:
        yield
    finally:
        element.removeAttribute("aria-busy")


def say(alert: Any, sentence: str = "", *, kind: str = "error") -> None:
    """Put a sentence into an alert, or none to clear it."""
    alert.dataset.kind = kind
    alert.textContent = sentence
