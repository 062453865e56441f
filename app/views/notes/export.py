"""Export: saves the notes as a file, which synchronous code fetches with ``urllib``."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.error import HTTPError

from unexpired import AsyncClient, BadReply, Client
from unexpired.outside_text import loads
from views.notes.csv_table import to_csv
from views.ui.files import save_file

FILE = "notes.csv"


def export(client: AsyncClient, path: str) -> None:
    """Save the notes as a file.

    Args:
        client: The client whose session the requests use.
        path: The path of the notes.
    """
    install_opener(client)
    save_file(FILE, to_csv(fetch_notes(path)), "text/csv")


def install_opener(client: AsyncClient) -> None:
    """Make ``urllib.request.urlopen`` use the client's session everywhere in this page."""
    urllib.request.install_opener(Client.in_browser(session_of=client).opener())


def fetch_notes(path: str) -> list[dict[str, str]]:
    """Fetch the notes, with code that does not know about tokens.

    Raises:
        BadReply: If the server refuses.
    """
    notes: list[dict[str, str]] = []
    page: dict[str, Any] = {"next": None}
    while "next" in page:
        query = f"?after={page['next']}" if page["next"] else ""
        page = _fetch_page(path + query)
        notes += page["notes"]
    return notes


def _fetch_page(address: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(address) as response:  # noqa: S310 - the opener accepts only http(s)
            page: dict[str, Any] = loads(response.read())
            return page
    except HTTPError as error:
        raise BadReply(status_code=error.code) from error
