"""Lets the browser save a file."""

from __future__ import annotations

from js import URL, Blob, document, window
from pyodide.ffi import to_js

# ms. A browser may ask where to save the file first, and no event says when it has finished.
REVOKE_AFTER = 60_000


def save_file(name: str, content: bytes, media_type: str) -> None:
    """Let the browser save a file, as if the person had followed a download link."""
    js_blob = Blob.new(to_js([to_js(content)]), type=media_type)
    link = document.createElement("a")
    link.href, link.download = URL.createObjectURL(js_blob), name
    link.click()
    window.setTimeout(URL.revokeObjectURL, REVOKE_AFTER, link.href)
