"""Build the page as it would be on stock PyScript: what the start of ours is held against.

The same markup, application, packages and host; only how Python starts is PyScript's own.
"""

import re
import shutil
from pathlib import Path

from build_site import REFERENCE, ROOT, SETTINGS

LASTING = "assets/stock/"
UNWANTED = shutil.ignore_patterns(".*", "__pycache__")
START = """\
interpreter = "./{prefix}vendor/pyodide/pyodide.mjs"
packages = ["pyjwt", "pyodide-http"]
packages_cache = "passthrough" # As they lie here: no installer, and no other host.
"""
INTERPRETER = re.compile(r"^interpreter = .*\n", re.MULTILINE)
OUR_START = re.compile(r'^ *<script type="module" src="app/start\.mjs"></script>\n', re.MULTILINE)
SNAPSHOT = re.compile(r'^ *<link rel="preload"[^>]*snapshot[^>]*>\n', re.MULTILINE)
HINT = re.compile(r'^ *<link rel="(?:module)?preload"[^>]*>\n', re.MULTILINE)


def build(target: Path, *, is_lasting: bool, has_hints: bool) -> None:
    """Build it into an empty folder.

    Args:
        target: the folder, as `python -m server serve --page-dir` takes it.
        is_lasting: whether all but index.html lies where browsers may keep it for ever.
        has_hints: whether the page asks for PyScript's heavy parts ahead, as ours does.
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
    """Replace what must be there once: else the page has changed, and this is no baseline."""
    text, count = pattern.subn(lambda _: new, text)
    if count != 1:
        raise ValueError(f"{pattern.pattern} is there {count} times, not once")
    return text
