"""Export: the notes as a file, fetched by sync code that knows nothing of tokens."""

import json
import urllib.request
from urllib.error import HTTPError

from js import URL, Blob, document, window
from pyodide.ffi import to_js

from unexpired import AsyncClient, BadReply, Client
from views.notes.csv_table import as_csv

FILE = "notes.csv"
LINGER = 60_000  # ms, for the browser may first ask where to save; no event tells when it has.


def export(client: AsyncClient, path: str) -> None:
    """Save the notes as a file.

    Args:
        client: Whose session the sync code is part of.
        path: Where the notes are.
    """
    join(client)
    offer(FILE, as_csv(fetched(path)), "text/csv")


def join(client: AsyncClient) -> None:
    """Make whatever calls ``urllib.request.urlopen`` in this page part of the client's session."""
    urllib.request.install_opener(Client.in_browser(session_of=client).opener())


def fetched(path: str) -> list[dict[str, str]]:
    """Fetch the notes, as any program would.

    Raises:
        BadReply: if the server does not give them.
    """
    try:
        with urllib.request.urlopen(path) as reply:  # noqa: S310 - the opener reads the web alone
            notes: list[dict[str, str]] = json.load(reply)["notes"]
            return notes
    except HTTPError as error:
        raise BadReply(status_code=error.code) from error


def offer(name: str, content: bytes, kind: str) -> None:
    """Have the browser save a file, as if a link to it had been followed."""
    js_blob = Blob.new(to_js([to_js(content)]), type=kind)
    link = document.createElement("a")
    link.href, link.download = URL.createObjectURL(js_blob), name
    link.click()
    window.setTimeout(URL.revokeObjectURL, LINGER, link.href)
