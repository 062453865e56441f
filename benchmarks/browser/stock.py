"""Build the page on stock PyScript, the baseline for the start of ours.

Markup, application, packages and host are the same; only Python is started by PyScript itself.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from benchmarks.processes import ROOT
from unexpired_kit.markup import REFERENCE, SETTINGS

LASTING = "assets/stock/"
UNWANTED = shutil.ignore_patterns(".*", "__pycache__")
START = """\
interpreter = "./{prefix}vendor/pyodide/pyodide.mjs"
packages = ["pyodide-http"]
packages_cache = "passthrough" # Wheels from this host, without an installer.
"""
INTERPRETER = re.compile(r"^interpreter = .*\n", re.MULTILINE)
OUR_START = re.compile(
    r'^ *<script type="module" src="vendor/load_pyodide\.mjs"></script>\n', re.MULTILINE
)
SNAPSHOT = re.compile(r'^ *<link rel="preload"[^>]*snapshot[^>]*>\n', re.MULTILINE)
HINT = re.compile(r'^ *<link rel="(?:module)?preload"[^>]*>\n', re.MULTILINE)


def build(target: Path, *, is_lasting: bool, has_hints: bool) -> None:
    """Build the page into an empty folder.

    Args:
        target: The folder, for ``python -m server serve --page-dir``.
        is_lasting: Whether browsers may cache all but index.html forever.
        has_hints: Whether the page preloads PyScript's large files, as ours does.
    """
    prefix = LASTING if is_lasting else ""
    for name in ("app", "vendor"):
        shutil.copytree(ROOT / name, target / prefix / name, ignore=UNWANTED)
    settings = (ROOT / SETTINGS).read_text("utf-8")
    start = START.format(prefix=prefix)
    (target / prefix / SETTINGS).write_text(_once(INTERPRETER, start, settings), "utf-8")
    page = _without_our_start((ROOT / "index.html").read_text("utf-8"))
    page = page if has_hints else HINT.sub("", page)
    page = REFERENCE.sub(lambda match: f'{match[1]}="{prefix}{match[2]}"', page)
    (target / "index.html").write_text(page, "utf-8")


def _without_our_start(page: str) -> str:
    return _once(SNAPSHOT, "", _once(OUR_START, "", page))


def _once(pattern: re.Pattern[str], new: str, text: str) -> str:
    """Replace what must occur once; otherwise the page has changed and this is no baseline."""
    text, count = pattern.subn(lambda _: new, text)
    if count != 1:
        raise ValueError(f"{pattern.pattern} occurs {count} times instead of once")
    return text
