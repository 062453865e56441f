"""Shows the view that the URL's fragment names, so that changing the view reloads nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

from js import document, location, window

from views.ui.address import REPLACED
from views.ui.dom import listen
from views.ui.i18n import tr


class View(Protocol):
    """A view, as the router uses it."""

    title: str
    element: Any

    def show(self, query: Mapping[str, str]) -> None:
        """Update the view; called after its element was put into the page.

        Args:
            query: The query parameters of the route.
        """


class Router:
    """Keeps the view in the page that the URL's fragment names.

    Args:
        outlet: The element that contains the view.
        views: The views by their path, such as "/notes".
        home: The path to show for an unknown path.
        sign_in: The path of the sign-in view.
        public: The paths of the other views that need no session.
        is_signed_in: Returns whether the views that need a session can be shown.
    """

    def __init__(  # noqa: PLR0913 - main.py passes each of them once, by name
        self,
        outlet: Any,
        views: Mapping[str, View],
        *,
        home: str,
        sign_in: str,
        public: Collection[str],
        is_signed_in: Callable[[], bool],
    ) -> None:
        self._outlet = outlet
        self._views = views
        self._home = home
        self._sign_in = sign_in
        self._public = {sign_in, *public}
        self._is_signed_in = is_signed_in
        self._current_hash = ""

    def start(self) -> None:
        """Show the current view in place of its frame, and follow each change of the fragment."""
        if frame := document.getElementById("frame"):  # See boot.js.
            frame.remove()
        listen(window, "hashchange", lambda _: self._route())
        listen(window, REPLACED, lambda _: self._on_replaced())
        self._route()

    def _route(self) -> None:
        if self._current_hash and self._current_hash == location.hash:
            return  # `_redirect` has already shown this view; this is its late event.
        self._current_hash = location.hash
        path, _, query = location.hash.removeprefix("#").partition("?")
        if path not in self._views:
            self._redirect(self._home)
        elif path not in self._public and not self._is_signed_in():
            self._redirect(f"{self._sign_in}?next={_current_url()}")
        else:
            self._show(path, {name: values[0] for name, values in parse_qs(query).items()})

    def _on_replaced(self) -> None:
        self._current_hash = location.hash

    def _redirect(self, path: str) -> None:
        # `replace`, so that Back does not lead to the address that redirects.
        location.replace(f"#{path}")
        self._route()

    def _show(self, path: str, query: Mapping[str, str]) -> None:
        view = self._views[path]
        if not self._outlet.contains(view.element):
            self._outlet.replaceChildren(view.element)
        document.title = f"{tr(view.title)} · Unexpired"
        _mark_current(path)
        view.show(query)


def _current_url() -> str:
    return quote(f"{location.pathname}{location.search}{location.hash}", safe="")


def _mark_current(path: str) -> None:
    for link in document.querySelectorAll("header nav a"):
        if link.getAttribute("href") == f"#{path}":
            link.setAttribute("aria-current", "page")
        else:
            link.removeAttribute("aria-current")
