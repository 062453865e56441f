"""Where the browser's runtime and the library are on this machine."""

from __future__ import annotations

from pathlib import Path

import unexpired

LIBRARY = Path(unexpired.__file__).parent
CALLBACK = LIBRARY / "browser" / "callback"
# A clone keeps the runtime beside the page that it serves: `make setup` fills the folder.
VENDOR = Path(__file__).resolve().parents[2] / "vendor"
# What no page can import: it needs sockets, files or other packages.
NOT_IN_PAGES = ("desktop", "httpx.py", "requests.py", "callback", "__pycache__", "py.typed")
