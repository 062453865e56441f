"""Guesses the browser and the system from a ``User-Agent`` header.

A client can send any value (RFC 9110, section 10.1.5), so the result is a hint, not evidence. Only
names from the lists below, or a plain product name, are shown.
"""

from __future__ import annotations

import re

from views.ui.i18n import tr

# The order matters: most browsers also send the tokens of browsers further down.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)
UNKNOWN = "Unknown device"
PRODUCT = re.compile(r"(?!Mozilla/)([A-Za-z][\w.-]{0,29})/")


def device_name(user_agent: str) -> str:
    """Return a name such as "Firefox on Linux" for a ``User-Agent`` header."""
    browser, system = _find(BROWSERS, user_agent), _find(SYSTEMS, user_agent)
    if browser and system:
        return tr("{} on {}", browser, system)
    product = PRODUCT.match(user_agent)
    return browser or system or (product[1] if product else tr(UNKNOWN))


def _find(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for token, name in names if token in user_agent), "")
