"""The page's address, and redirects to the sign-in page and back."""

from __future__ import annotations

import js


class BrowserNavigator:
    """The page's own address."""

    def here(self) -> str:
        """Return the path, query and hash of the page as it is shown."""
        return f"{js.location.pathname}{js.location.search}{js.location.hash}"

    def go(self, url: str) -> None:
        """Show another address; a hash route changes the view without reloading the page."""
        js.location.assign(url)

    def replace(self, url: str) -> None:
        """Change the address that is shown and leave the page as it is, so that a code is gone."""
        js.history.replaceState(js.history.state, "", _within_origin(url))

    def show(self, url: str) -> None:
        """Show where the person was, in place of this entry of the history."""
        js.location.replace(_within_origin(url))


def _within_origin(url: str) -> str:
    """Return the URL; a path such as ``//host`` would otherwise name another host."""
    return f"{js.location.origin}{url}" if url.startswith("/") else url
