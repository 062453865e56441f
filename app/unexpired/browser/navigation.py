"""The page's address, and redirects to the sign-in page."""

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
