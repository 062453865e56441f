"""A page's markup, made ready for a build."""

from __future__ import annotations

import re

from unexpired_kit.errors import KitError

SETTINGS = "pyscript.toml"
CORE = "vendor/pyscript/core.js"
# An attribute that names a file: neither a fragment nor an address with a scheme.
REFERENCE = re.compile(r'\b(src|href|config)="(?!#|[a-z]+:)([^"]+)"')
PYSCRIPT_NET = re.compile(r"https://pyscript\.net/releases/[\w.]+/core\.js")
PYSCRIPT_STYLE = re.compile(r'\s*<link\b[^>]*https://pyscript\.net/[^>]*core\.css"[^>]*>')
CORE_SCRIPT = re.compile(rf'<script\b[^>]*src="{re.escape(CORE)}"')
SCRIPT = re.compile(r'<script\b[^>]*\btype="py"[^>]*>')
CHARSET = re.compile(r"<meta\s+charset[^>]*>", re.IGNORECASE)
POLICY = re.compile(r'http-equiv="content-security-policy"', re.IGNORECASE)
ELSEWHERE = re.compile(r'<script\b[^>]*(?:type="m?py"[^>]*\bworker\b|type="mpy")[^>]*>')

# The strictest policy under which PyScript starts; it leaves the page's own HTML to the page.
ADDED_POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    " script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'\">"
)
# The browser asks for the large files before PyScript does, but after what is visible.
HINTS = """\
<script type="module" src="vendor/load_pyodide.mjs"></script>
<link rel="modulepreload" href="vendor/pyodide/pyodide.mjs">
<link rel="modulepreload" href="vendor/pyodide/pyodide.asm.mjs">
<link rel="preload" as="fetch" crossorigin fetchpriority="low" href="vendor/pyodide/python_stdlib.zip">
<link rel="preload" as="fetch" crossorigin fetchpriority="low" href="vendor/pyodide/snapshot.gz">
"""  # noqa: E501 - Markup.


def prepared(page: str) -> str:
    """Return a page that loads the runtime beside it, early, under a policy.

    Raises:
        KitError: The page has what a build does not support, or not what it needs.
    """
    if found := ELSEWHERE.search(page):
        raise KitError(f"A build does not support workers and MicroPython: {found[0]}")
    if f'config="{SETTINGS}"' not in page:
        raise KitError(f'index.html must name its settings as config="{SETTINGS}".')
    page = PYSCRIPT_STYLE.sub("", PYSCRIPT_NET.sub(CORE, page))
    if not CORE_SCRIPT.search(page):
        raise KitError(f"index.html must load PyScript from pyscript.net or from {CORE}.")
    return _with_hints(_with_policy(page))


def scripts(page: str) -> list[str]:
    """Return the files of a page's Python scripts."""
    tags = SCRIPT.findall(page)
    return [found[2] for tag in tags for found in REFERENCE.finditer(tag) if found[1] == "src"]


def _with_policy(page: str) -> str:
    if POLICY.search(page):
        return page
    page, count = CHARSET.subn(lambda found: f"{found[0]}\n{ADDED_POLICY}", page, count=1)
    if not count:
        raise KitError('index.html needs <meta charset="utf-8">, behind which its policy belongs.')
    return page


def _with_hints(page: str) -> str:
    if "load_pyodide.mjs" in page:
        return page
    return CORE_SCRIPT.sub(lambda found: HINTS + found[0], page, count=1)
