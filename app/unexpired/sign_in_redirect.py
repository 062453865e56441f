"""The redirect to the sign-in page and back, and the message that the sign-in page shows."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, unquote, urlsplit

from unexpired.origins import UNSAFE

EXPIRED = "Your session has expired. Please log in again."

MESSAGES = {
    "expired": EXPIRED,
    "revoked": f"{EXPIRED} It was ended on another device or by the service.",
    "damaged": f"{EXPIRED} Its key on this device could no longer be used.",
    "signed_out": "You were signed out in another tab or window.",
    "key_lost": "Your session has ended: this browser no longer has its key. Please sign in again.",
}

_REASONS = {
    "SESSION_REVOKED": "revoked",
    "INVALID_TOKEN": "damaged",
    "NO_TOKEN": "damaged",
    "SIGNED_OUT": "signed_out",
    "KEY_LOST": "key_lost",
}


def reason_for(code: str) -> str:
    """Return the word for a code in the sign-in page's URL."""
    return _REASONS.get(code, "expired")


def sentence_for(reason: str | None) -> str | None:
    """Return the message to show on the sign-in page for a reason, or None.

    Anyone may have written the URL that the reason comes from, so an unknown reason has no message.
    """
    return MESSAGES.get(reason or "")


def sign_in_url(login_url: str, *, here: str, reason: str) -> str:
    """Return the sign-in page's URL, with the return path and the reason in its query.

    The query of a hash route is behind the hash, where it does not reload the page.
    """
    if is_sign_in(here, login_url):
        here = ""  # The sign-in page is no place to return to.
    query = "&".join(
        f"{name}={quote(value, safe='')}"
        for name, value in (("next", here), ("reason", reason))
        if value
    )
    return f"{login_url}{'&' if '?' in login_url else '?'}{query}" if query else login_url


def return_path(here: str, *, login_url: str, default: str) -> str:
    """Return the ``next`` address in ``here`` if it is safe to follow, else the default.

    Args:
        here: Path, query and hash of the sign-in page as it is shown.
        login_url: The sign-in page, which is never a place to return to.
        default: The address if ``next`` is missing or not plainly inside this origin.
    """
    wanted = parameter(here, "next")
    inside = wanted is not None and is_inside(wanted) and not is_sign_in(wanted, login_url)
    return wanted if wanted is not None and inside else default


def parameter(here: str, name: str) -> str | None:
    """Return one query parameter of an address, from its hash route's query or its own."""
    path, _, fragment = here.partition("#")
    for query in (fragment.partition("?")[2], path.partition("?")[2]):
        values = parse_qs(query).get(name)
        if values:
            return values[0]
    return None


def is_inside(address: str) -> bool:
    """Return whether an address is a plain absolute path (with query and hash) of this origin.

    This prevents open redirects; the tricks are listed in OWASP's cheat sheet "Unvalidated
    Redirects and Forwards".
    """
    if not address.startswith("/") or address.startswith("//") or UNSAFE.search(address):
        return False
    # Browsers resolve dot segments, encoded or not: `/..//evil` would become `//evil`.
    return not {".", ".."} & set(unquote(urlsplit(address).path).split("/"))


def is_sign_in(address: str, login_url: str) -> bool:
    """Return whether an address (path, query, hash) shows the sign-in page."""
    if login_url.startswith("#"):
        fragment = address.partition("#")[2].partition("?")[0]
        return fragment == login_url[1:].partition("?")[0]
    return urlsplit(address).path == urlsplit(login_url).path
