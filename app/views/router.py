"""Which view the address names: hash routes, so that a change of view reloads nothing."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

from js import document, location, window

from views.ui.dom import listen
from views.ui.i18n import tr


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
        sign_in: The path of the view to sign in.
        public: The paths of the other views that need no session.
        is_signed_in: Whether the other views may be shown.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each of them once
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
        self._followed = ""

    def start(self) -> None:
        """Show what the address names now, and from now on."""
        listen(window, "hashchange", lambda _: self._follow())
        self._follow()

    def _follow(self) -> None:
        if self._followed and self._followed == location.hash:
            return  # A redirect has been followed at once, before its event.
        self._followed = location.hash
        path, _, query = location.hash.removeprefix("#").partition("?")
        if path not in self._views:
            self._redirect(self._home)
        elif path not in self._public and not self._is_signed_in():
            self._redirect(f"{self._sign_in}?next={_here()}")
        else:
            self._show(path, {name: values[0] for name, values in parse_qs(query).items()})

    def _redirect(self, path: str) -> None:
        # `replace`: Back must not lead to the address that redirects.
        location.replace(f"#{path}")
        self._follow()

    def _show(self, path: str, query: Mapping[str, str]) -> None:
        view = self._views[path]
        if not self._outlet.contains(view.element):
            self._outlet.replaceChildren(view.element)
        document.title = f"{tr(view.title)} · Unexpired"
        _mark_current(path)
        view.show(query)


def _here() -> str:
    return quote(f"{location.pathname}{location.search}{location.hash}", safe="")


def _mark_current(path: str) -> None:
    for link in document.querySelectorAll("header nav a"):
        if link.getAttribute("href") == f"#{path}":
            link.setAttribute("aria-current", "page")
        else:
            link.removeAttribute("aria-current")
