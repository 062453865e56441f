"""Build dist/: the whole client, for any static host and any folder of it.

`index.html` is all that ever changes under its name. Everything that it loads lies in
`assets/<version>/`, where the version is a digest of what lies there, so browsers may keep it for
ever. The page's modules are compiled and packed into one archive, and Python is put to sleep with
the library already imported. The same tree gives the same version.
"""

import argparse
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import brotli

from unexpired.origins import origin_of

ROOT = Path(__file__).resolve().parent.parent
ASSETS = "assets"
FOLDERS = ("app", "vendor")
PYODIDE = "vendor/pyodide"
SNAPSHOT = f"{PYODIDE}/snapshot.gz"
SETTINGS = "pyscript.toml"
# In JSON, for which PyScript needs no parser and we no writer.
BUILT_SETTINGS = "pyscript.json"
VERSION_LENGTH = 16
# Of Python only what the page's markup names is a file of its own; the rest goes into an archive.
UNWANTED = shutil.ignore_patterns(".*", "__pycache__", "*.py")

COMPRESSIBLE = {".css", ".js", ".json", ".mjs", ".py", ".wasm"}
# The highest, 11, would make the runtime smaller by a tenth, in thirty times the time.
BROTLI_QUALITY = 9

# A Content Security Policy can name no IPv6 address, and of IPv4 just this one (CSP 3, host-part
# matching); elsewhere http would show tokens to everybody on the way.
LOOPBACK = {"localhost", "127.0.0.1"}
BAD_API = (
    "API must be an exact origin such as https://api.example.com"
    " (http only on localhost or 127.0.0.1), not {!r}."
)

# An attribute that names a file: not a place in the page, not an address with a scheme.
REFERENCE = re.compile(r'\b(src|href|config)="(?!#|[a-z]+:)([^"]+)"')

STORAGE_KEY = 'data-storage-key="unexpired{}"'

# What Netlify, Cloudflare Pages and others of that kind read; to other hosts it is one more file.
# Who may frame the page can be said in a header only.
HEADERS = f"""\
/{ASSETS}/*
  Cache-Control: public, max-age=31536000, immutable
/*
  Content-Security-Policy: frame-ancestors 'none'
  X-Content-Type-Options: nosniff
"""


def main() -> None:
    """Build it as the command line says, or say in one sentence why not."""
    parser = argparse.ArgumentParser(description="Build the client for a static host.")
    parser.add_argument("--api", default="", help="the API's origin; empty: where the page is")
    api = parser.parse_args().api
    try:
        build(ROOT, ROOT / "dist", checked_api(api))
    except ValueError as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)
    print(f"dist/ holds the client for an API at {api or 'the same origin'}.")


def checked_api(api: str) -> str:
    """Return the API's origin, or nothing for the page's own.

    Raises:
        ValueError: It is not an origin that a page can name in its policy and trust with tokens.
    """
    if api and not _is_usable(api):
        raise ValueError(BAD_API.format(api))
    return api


def _is_usable(api: str) -> bool:
    # The client compares origins in this very form before it shows a token.
    if origin_of(api) != api:
        return False
    parts = urlsplit(api)
    try:
        _ = parts.port
    except ValueError:
        return False  # Beyond 65535.
    host = parts.hostname or ""
    return ":" not in host and (parts.scheme == "https" or host in LOOPBACK)


def build(source: Path, target: Path, api: str) -> None:
    """Build the client, and put it in the place of an older one when it is whole.

    Args:
        source: Holds index.html, pyscript.toml, app/ and vendor/.
        target: The folder to build.
        api: The API's origin; empty for the page's own.

    Raises:
        ValueError: The page names a file that is not there.
    """
    page = (source / "index.html").read_text("utf-8")
    settings = tomllib.loads((source / SETTINGS).read_text("utf-8"))
    scripts = [name for _, name in REFERENCE.findall(page)]
    _check(source, [*scripts, settings["interpreter"], *settings["files"]])
    settings["unexpired"]["base_url"] = api
    staging = target.with_name(f".{target.name}-staging")
    shutil.rmtree(staging, ignore_errors=True)
    folder = staging / ASSETS / "new"
    for name in FOLDERS:
        shutil.copytree(source / name, folder / name, ignore=UNWANTED)
    for name in scripts:
        if name.endswith(".py"):
            shutil.copy(source / name, folder / name)
    _pack(source, folder, settings.pop("files"))
    version = _settle(folder, settings)
    _compress(staging / ASSETS)
    (staging / "index.html").write_text(_page(page, f"{ASSETS}/{version}/", api), "utf-8")
    (staging / "_headers").write_text(HEADERS, "utf-8")
    (staging / ".nojekyll").touch()  # GitHub Pages would leave out what its Jekyll dislikes.
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def _check(source: Path, names: list[str]) -> None:
    """See that every file that the page or its settings name is there."""
    if missing := [name for name in names if not (source / name).is_file()]:
        raise ValueError(f"The page names what is not there: {', '.join(missing)}.")


def _pack(source: Path, folder: Path, modules: dict[str, str]) -> None:
    """Put the modules into one archive, and Python to sleep with the library imported."""
    staging = folder / "modules"
    for file, module in modules.items():
        (staging / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / file, staging / module)
    pyodide = folder / PYODIDE
    _run("pack_modules.mjs", pyodide, staging, pyodide / "app.zip")
    _run("make_snapshot.mjs", pyodide, "unexpired")
    shutil.rmtree(staging)


def _settle(folder: Path, settings: dict[str, Any]) -> str:
    """Write the settings, and name the folder by its version, which is returned."""
    _write_settings(folder, settings)
    version = _digest(folder)
    # This one path PyScript follows from the page, all others from where the settings lie.
    settings["interpreter"] = f"./{ASSETS}/{version}/{settings['interpreter'].removeprefix('./')}"
    _write_settings(folder, settings)
    folder.rename(folder.with_name(version))
    return version


def _run(tool: str, *arguments: Path | str) -> None:
    subprocess.run(["node", str(ROOT / "tools" / tool), *map(str, arguments)], check=True)  # noqa: S603, S607 - Our own words.


def _compress(assets: Path) -> None:
    """Lay a smaller form beside each file that has one, for servers that send those."""
    for file in [path for path in assets.rglob("*") if path.suffix in COMPRESSIBLE]:
        content = file.read_bytes()
        brief = brotli.compress(content, quality=BROTLI_QUALITY)
        file.with_name(f"{file.name}.br").write_bytes(brief)
        # Without a time, so that the same content gives the same bytes.
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content, mtime=0))


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    (folder / BUILT_SETTINGS).write_text(json.dumps(settings, indent=1), "utf-8")


def _digest(folder: Path) -> str:
    """What tells these files from all others: their names and their bytes."""
    digest = hashlib.sha256()
    # But for the snapshot: made from the others, it differs each time, and does not matter.
    derived = folder / SNAPSHOT
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path != derived):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{content} {file.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()[:VERSION_LENGTH]


def _page(page: str, prefix: str, api: str) -> str:
    """The page, with its files in the assets' folder and its API allowed."""
    page = page.replace(f'"{SETTINGS}"', f'"{BUILT_SETTINGS}"')
    page = REFERENCE.sub(lambda match: f'{match[1]}="{prefix}{match[2]}"', page)
    if api:
        # Pages of one origin share its storage: a session belongs to the API that began it.
        page = _replaced(page, STORAGE_KEY.format(""), STORAGE_KEY.format(f"@{api}"))
        page = _replaced(page, "connect-src 'self'", f"connect-src 'self' {api}")
    return page


def _replaced(page: str, old: str, new: str) -> str:
    if page.count(old) != 1:
        raise ValueError(f"index.html must say {old} once.")
    return page.replace(old, new)


if __name__ == "__main__":
    main()
