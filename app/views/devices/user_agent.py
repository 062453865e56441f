"""A User-Agent in words that a person understands: a guess, in our words and never in its own.

The header is whatever its sender likes (RFC 9110, section 10.1.5): it names a device, it proves
nothing.
"""

import re

from views.ui.i18n import tr

# In this order: most browsers also claim to be those further down.
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
PROGRAM = re.compile(r"(?!Mozilla/)([A-Za-z][\w.-]{0,29})/")


def device_name(user_agent: str) -> str:
    """Return words such as "Firefox on Linux" for a User-Agent header."""
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return tr("{} on {}", browser, system)
    program = PROGRAM.match(user_agent)
    return browser or system or (program[1] if program else tr(UNKNOWN))


def _first(words: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for sign, name in words if sign in user_agent), "")
