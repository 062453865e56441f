"""Where the browser's runtime and the library are on this machine."""

from __future__ import annotations

from pathlib import Path

import unexpired

LIBRARY = Path(unexpired.__file__).parent
CALLBACK = LIBRARY / "browser" / "callback"
KIT = Path(__file__).resolve().parent
# What the page runs before its Python.
SCRIPTS = KIT / "browser"
# The wheel has the runtime within it. A clone keeps it beside the page that it serves: `make setup`
# fills the folder.
INSTALLED = KIT / "vendor"
VENDOR = INSTALLED if INSTALLED.is_dir() else KIT.parents[1] / "vendor"
# What no page can import: it needs sockets, files or other packages.
NOT_IN_PAGES = ("desktop", "httpx.py", "requests.py", "callback", "__pycache__", "py.typed")
