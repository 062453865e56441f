"""Which view the address names: hash routes, so that a change of view reloads nothing."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs

from js import document, location, window

from .dom import listen


class View(Protocol):
    """What the router needs to know of a view."""

    title: str
    element: Any

    def show(self, query: Mapping[str, str]) -> None:
        """Take the stage: the element is in the page, the query is the address's."""


class Router:
    """Keeps in the page the one view that the address's hash names.

    Args:
        outlet: The element that holds the view.
        views: The views by their path, such as "/notes".
        home: The path for an address that names none.
    """

    def __init__(self, outlet: Any, views: Mapping[str, View], *, home: str) -> None:
        self._outlet = outlet
        self._views = views
        self._home = home

    def start(self) -> None:
        """Show what the address names now, and from now on."""
        listen(window, "hashchange", lambda _: self._follow())
        self._follow()

    def _follow(self) -> None:
        path, _, query = location.hash.removeprefix("#").partition("?")
        if path in self._views:
            self._show(path, {name: values[0] for name, values in parse_qs(query).items()})
        else:
            location.replace(f"#{self._home}")

    def _show(self, path: str, query: Mapping[str, str]) -> None:
        view = self._views[path]
        if not self._outlet.contains(view.element):
            self._outlet.replaceChildren(view.element)
        document.title = f"{view.title} · Unexpired"
        _mark_current(path)
        view.show(query)


def _mark_current(path: str) -> None:
    for link in document.querySelectorAll("header nav a"):
        if link.getAttribute("href") == f"#{path}":
            link.setAttribute("aria-current", "page")
        else:
            link.removeAttribute("aria-current")
