"""Build a page for any static host and any folder.

Only ``index.html`` and the callback page, whose address identity providers know, change under the
same name. Every other file is in ``assets/<version>/``, where the version is a digest of these
files, so browsers can cache them forever. The runtime, which a new version of the page leaves as it
is, has a folder and a version of its own. The page's modules are compiled and packed into one
archive, and the memory snapshot contains the imported library. Builds are reproducible.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from unexpired.origins import origin_of
from unexpired_kit import node, runtime
from unexpired_kit.compression import compress_again, compress_all
from unexpired_kit.errors import KitError
from unexpired_kit.markup import REFERENCE, SETTINGS, prepared
from unexpired_kit.page_settings import LIBRARY, LOADER, PageSettings, read_settings
from unexpired_kit.preload import preloaded

ASSETS = "assets"
VENDOR = "vendor"
PYODIDE = "vendor/pyodide"
CALLBACK = "app/unexpired/browser/callback"
SNAPSHOT = f"{PYODIDE}/snapshot.gz"
# PyScript's sources, which only the snapshot is made from.
SOURCES = "vendor/pyscript/stdlib.mjs"
# What is the same in every version of a page; with the compressed forms beside it.
RUNTIME = (
    *(f"{VENDOR}/pyscript", f"{PYODIDE}/pyodide.mjs", f"{PYODIDE}/pyodide.asm.mjs"),
    *(f"{PYODIDE}/pyodide.asm.wasm", f"{PYODIDE}/pyodide-lock.json"),
    f"{PYODIDE}/python_stdlib.zip",
)
LIBRARY_MODULES = (LIBRARY, f"{LIBRARY}.browser")
# JSON, because PyScript needs no parser for it, and Python has a writer.
BUILT_SETTINGS = "pyscript.json"
VERSION_LENGTH = 16
# Only Python files that the markup names are copied; the others go into the archive.
UNWANTED = shutil.ignore_patterns(".*", "__pycache__", "*.py")

# A Content Security Policy cannot name an IPv6 address, and only this IPv4 address (CSP 3,
# host-part matching). On any other host, http would expose tokens to the network.
LOOPBACK = {"localhost", "127.0.0.1"}
BAD_API = (
    "API must be an exact origin such as https://api.example.com"
    " (http only on localhost or 127.0.0.1), not {!r}."
)

STORAGE_KEY = 'data-storage-key="unexpired{}"'

# Netlify, Cloudflare Pages and similar hosts read this file; others ignore it. Framing can only be
# forbidden by a header (CSP 3 ignores frame-ancestors in a meta element).
HEADERS = f"""\
/{ASSETS}/*
  Cache-Control: public, max-age=31536000, immutable
/*
  Content-Security-Policy: frame-ancestors 'none'
  X-Content-Type-Options: nosniff
"""


def checked_api(api: str) -> str:
    """Return the API's origin; empty for the page's own.

    Raises:
        KitError: It is not an origin that a page can name in its policy and trust with tokens.
    """
    if api and not _is_usable(api):
        raise KitError(BAD_API.format(api))
    return api


def _is_usable(api: str) -> bool:
    # The client compares origins in exactly this form before it sends a token.
    if origin_of(api) != api:
        return False
    parts = urlsplit(api)
    try:
        _ = parts.port
    except ValueError:
        return False  # A port above 65535.
    host = parts.hostname or ""
    return ":" not in host and (parts.scheme == "https" or host in LOOPBACK)


def build(source: Path, target: Path, api: str) -> None:
    """Build a page, and replace an older build once the new one is complete.

    Args:
        source: The folder with index.html, pyscript.toml and app/. Without a vendor/ of its own
            the page gets the runtime that comes with these tools.
        target: The folder to build.
        api: The API's origin; empty for the page's own.

    Raises:
        KitError: The page names a file that does not exist, or needs what is not supported.
    """
    _check(source, ["index.html", SETTINGS])
    page = prepared((source / "index.html").read_text("utf-8"))
    settings = read_settings((source / SETTINGS).read_text("utf-8"))
    staging = target.with_name(f".{target.name}-staging")
    shutil.rmtree(staging, ignore_errors=True)
    folder = staging / ASSETS / "new"
    _copy(source, folder, page, settings)
    _place_callback(folder, staging)
    _pack(source, folder, settings, preloaded(source, page, settings))
    if api or "unexpired" in settings.rest:
        settings.rest.setdefault("unexpired", {})["base_url"] = api
    shared = _set_apart(folder)
    version = _finish(folder, settings.rest)
    compress_all(staging / ASSETS)
    compress_again(staging / ASSETS / version / SNAPSHOT)
    (staging / "index.html").write_text(_page(page, version, shared, api), "utf-8")
    (staging / "_headers").write_text(HEADERS, "utf-8")
    (staging / ".nojekyll").touch()  # Else GitHub Pages runs Jekyll, which leaves some files out.
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def _copy(source: Path, folder: Path, page: str, settings: PageSettings) -> None:
    """Copy the runtime, app/, and the files that the page and its settings name."""
    _copy_runtime(source / VENDOR, folder / VENDOR)
    named = [name for _, name in REFERENCE.findall(page)]
    named += [settings.rest["interpreter"], *settings.named_files]
    own = [name for name in named if not name.removeprefix("./").startswith(f"{VENDOR}/")]
    _check(source, own)
    _check(folder, [name for name in named if name not in own and name != SNAPSHOT])
    if (source / "app").is_dir():
        shutil.copytree(source / "app", folder / "app", ignore=UNWANTED)
    kept = [name for _, name in REFERENCE.findall(page) if name in own and name != SETTINGS]
    for name in [*kept, *settings.rest.get("files", ())]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / name)
    for name in settings.wheels:
        shutil.copy(source / name, folder / PYODIDE)


def _copy_runtime(own: Path, target: Path) -> None:
    """Copy the page's own runtime if it has one, else the one that comes with these tools."""
    if own.is_dir():
        shutil.copytree(own, target, ignore=UNWANTED)
    else:
        shutil.copytree(runtime.VENDOR, target, ignore=UNWANTED)
        shutil.copytree(runtime.SCRIPTS, target, ignore=UNWANTED, dirs_exist_ok=True)


def _place_callback(folder: Path, staging: Path) -> None:
    """Put the page that sign-ins at a provider come back to where its address is fixed."""
    own = folder / CALLBACK
    if own.is_dir():
        for file in own.iterdir():
            file.rename(staging / file.name)
    else:
        shutil.copytree(runtime.CALLBACK, staging, dirs_exist_ok=True)


def _check(source: Path, names: list[str]) -> None:
    """Check that every file that the page or its settings name exists."""
    if missing := [name for name in names if not (source / name).is_file()]:
        raise KitError(f"The page names files that do not exist: {', '.join(missing)}.")


def _pack(source: Path, folder: Path, settings: PageSettings, preload: list[str]) -> None:
    """Pack the modules into one archive, and make a snapshot in which some are imported."""
    staging = folder / "modules"
    staging.mkdir()
    for file, module in settings.modules.items():
        (staging / module).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / file, staging / module)
    if settings.has_library:
        left_out = shutil.ignore_patterns(*runtime.NOT_IN_PAGES)
        shutil.copytree(runtime.LIBRARY, staging / LIBRARY, ignore=left_out)
    pyodide = folder / PYODIDE
    node.pack_modules(pyodide, staging, pyodide / "app.zip", LIBRARY)
    has_library = (staging / LIBRARY / "browser" / "__init__.py").is_file()
    node.make_snapshot(pyodide, *(LIBRARY_MODULES if has_library else ()), *preload)
    shutil.rmtree(staging)
    for form in (folder / SOURCES).parent.glob(f"{Path(SOURCES).name}*"):
        form.unlink()


def _set_apart(folder: Path) -> Path:
    """Move the runtime into a folder of its own, named by its version; tell the loader."""
    shared = folder.with_name("runtime")
    shared.mkdir()
    for name in RUNTIME:
        for file in (folder / name).parent.glob(f"{Path(name).name}*"):
            place = shared / file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.rename(place)
    shared = shared.rename(shared.with_name(version_of(shared)))
    loader = folder / LOADER
    moved = f'"../../{shared.name}/{PYODIDE}/'
    loader.write_text(loader.read_text("utf-8").replace('"./pyodide/', moved), "utf-8")
    return shared


def _finish(folder: Path, settings: dict[str, Any]) -> str:
    """Write the settings, name the folder by its version, and return the version."""
    _write_settings(folder, settings)
    version = version_of(folder)
    # PyScript resolves this path against the page, and all others against the settings file.
    settings["interpreter"] = f"./{ASSETS}/{version}/{settings['interpreter'].removeprefix('./')}"
    _write_settings(folder, settings)
    folder.rename(folder.with_name(version))
    return version


def _write_settings(folder: Path, settings: dict[str, Any]) -> None:
    (folder / BUILT_SETTINGS).write_text(json.dumps(settings, indent=1), "utf-8")


def version_of(folder: Path) -> str:
    """Return a digest of the names and the bytes of all files, which names their folder."""
    digest = hashlib.sha256()
    # The snapshot is left out: it is made from the others, and differs at each build.
    derived = folder / SNAPSHOT
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path != derived):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{content} {file.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()[:VERSION_LENGTH]


def _page(page: str, version: str, shared: Path, api: str) -> str:
    """Return the page with its files in the assets' folders, and its API in the policy."""

    def placed(found: re.Match[str]) -> str:
        folder = shared.name if (shared / found[2]).is_file() else version
        return f'{found[1]}="{ASSETS}/{folder}/{found[2]}"'

    page = page.replace(f'"{SETTINGS}"', f'"{BUILT_SETTINGS}"')
    page = REFERENCE.sub(placed, page)
    if api:
        # Pages of one origin share its storage: a session belongs to the API that issued it.
        page = _replaced(page, STORAGE_KEY.format(""), STORAGE_KEY.format(f"@{api}"))
        page = _replaced(page, "connect-src 'self'", f"connect-src 'self' {api}")
    return page


def _replaced(page: str, old: str, new: str) -> str:
    if page.count(old) != 1:
        raise KitError(f"index.html must contain {old} once.")
    return page.replace(old, new)
