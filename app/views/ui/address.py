"""The address of what is shown, where a view changes it without leaving."""

from __future__ import annotations

from js import Event, history, window

REPLACED = "addressreplaced"
"""The event of the window that says so; the browser has none."""


def replace_address(fragment: str) -> None:
    """Put a fragment into the address, without an entry in the history."""
    history.replaceState(history.state, "", fragment)
    window.dispatchEvent(Event.new(REPLACED))
