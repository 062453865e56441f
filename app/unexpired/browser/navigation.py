"""Where the person is, and the way to the sign-in page."""

from __future__ import annotations

import js


class BrowserNavigator:
    """The page's own address."""

    def here(self) -> str:
        """Return the path, query and hash of the page as it is shown."""
        return f"{js.location.pathname}{js.location.search}{js.location.hash}"

    def go(self, url: str) -> None:
        """Show another address; a hash route changes the view without loading the page anew."""
        js.location.assign(url)
