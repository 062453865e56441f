"""A page's static files, and nothing else of the folder that holds them."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path, PurePath
from typing import Any
from wsgiref.headers import Headers as WSGIHeaders

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from unexpired_server.errors import NotFound
from unexpired_server.extras import require

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".py": "text/x-python; charset=utf-8",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".zip": "application/zip",
}
"""Ours, because the system's table differs between machines, and browsers refuse modules and
WebAssembly with a wrong type."""

GZIP_LEVEL = 6
ASSETS = "assets"
CALLBACK = ("callback.html", "callback.js")
CALLBACK_SOURCE = "app/unexpired/browser/callback"


def _media_type(path: str | os.PathLike[str]) -> str:
    return MEDIA_TYPES.get(Path(path).suffix, "application/octet-stream")


def _set_media_type(response: Response, path: str | os.PathLike[str]) -> None:
    if "content-type" in response.headers:  # A 304 has none.
        response.headers["Content-Type"] = _media_type(path)


FORMS = {"br": ".br", "gzip": ".gz"}
"""What a file's compressed forms are called, by their content coding, the smallest first."""


def _accepted(scope: Scope) -> set[str]:
    """Return those of the content codings that a request accepts (RFC 9110, section 12.5.3)."""
    offers = Headers(scope=scope).get("accept-encoding", "").lower().replace(" ", "").split(",")
    weights = dict(map(_weighed, offers))
    return {coding for coding in FORMS if weights.get(coding, weights.get("*", 0)) > 0}


def _weighed(offer: str) -> tuple[str, float]:
    coding, _, weight = offer.partition(";q=")
    try:
        return coding, float(weight or 1)
    except ValueError:
        return coding, 0  # What is not understood is not sent.


class PageFiles(StaticFiles):
    """Static files that browsers revalidate each time; the folder may be missing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a whole file: a server may ignore Range (RFC 9110, section 14.2)."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    async def check_config(self) -> None:
        """Accept a missing folder, which gives a 404 and no error."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Find a file that is neither hidden nor in one of Python's caches."""
        parts = PurePath(path).parts
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            raise NotFound
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Set the media type; make browsers revalidate a cached copy by its ETag."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        _set_media_type(response, full_path)
        return response


class RuntimeFiles(PageFiles):
    """Files that may have compressed forms beside them, and are sent in one that is accepted."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Send the smallest form; each has an ETag of its own."""
        coding, form = self._form(full_path, scope)
        status = form.stat() if coding else stat_result
        response = super().file_response(form, status, scope, status_code)
        response.headers["Vary"] = "Accept-Encoding"
        if coding:
            response.headers["Content-Encoding"] = coding
        _set_media_type(response, full_path)
        return response

    @staticmethod
    def _form(path: str | os.PathLike[str], scope: Scope) -> tuple[str, Path]:
        """Return the content coding and the path of the form to send."""
        accepted = _accepted(scope)
        forms = ((coding, Path(f"{path}{suffix}")) for coding, suffix in FORMS.items())
        found = (form for form in forms if form[0] in accepted and form[1].is_file())
        return next(found, ("", Path(path)))


def _immutable_files(folder: Path) -> Any:
    """Return the application for files under a content hash, which never change.

    It sends them as ``make site`` compressed them, in a form that the browser accepts. A later
    build needs a restart.
    """
    servestatic = require("servestatic", "page", "Serving a page")
    files = servestatic.ServeStaticASGI(
        _not_found,
        folder if folder.is_dir() else None,
        ASSETS,
        max_age=None,
        allow_all_origins=False,
        add_headers_function=_immutable_headers,
    )
    for address in [address for address in files.files if "/." in address]:
        del files.files[address]
    return files


def _immutable_headers(headers: WSGIHeaders, path: str, _address: str) -> None:
    headers["Cache-Control"] = "public, max-age=31536000, immutable"
    headers["Content-Type"] = _media_type(path)


async def _not_found(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound


class OneFile(PageFiles):
    """One file of a folder.

    Args:
        folder: The folder.
        name: The file's name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._name = name

    def get_path(self, _scope: Scope) -> str:
        """Return the one file for every path."""
        return self._name


def _compressed(files: PageFiles) -> GZipMiddleware:
    """Compress files of the page's own, which are small and change, at each request.

    They hold no secrets, so the length of the answer tells none.
    """
    return GZipMiddleware(files, compresslevel=GZIP_LEVEL)


def _callback(folder: Path, name: str) -> OneFile:
    """Return a file of the page that pop-ups come back to, built or in a clone."""
    is_built = (folder / name).is_file()
    return OneFile(folder if is_built else folder / CALLBACK_SOURCE, name)


async def login(request: Request) -> Response:
    """Redirect a well-known address to the page's sign-in view."""
    query = request.url.query
    target = f"/#/login?{query}" if query else "/#/login"
    return RedirectResponse(target, 303)


def page_routes(folder: Path | None) -> list[BaseRoute]:
    """Return the routes of a page.

    Args:
        folder: Holds index.html, pyscript.toml, app/ and vendor/, or index.html and assets/ as
            ``make site`` builds them; a missing file gives 404. None where there is no page.

    Raises:
        SettingsError: There is a page, and the extra ``page`` is not installed.
    """
    return [Route("/login", login), *(_file_routes(folder) if folder and _has_page(folder) else ())]


def _has_page(folder: Path) -> bool:
    """Return whether there is a page, because the folder may belong to other packages."""
    return (folder / "index.html").is_file()


def _file_routes(folder: Path) -> list[BaseRoute]:
    return [
        Route("/", _compressed(OneFile(folder, "index.html")), methods=["GET"]),
        Route("/pyscript.toml", OneFile(folder, "pyscript.toml"), methods=["GET"]),
        *(Route(f"/{name}", _callback(folder, name), methods=["GET"]) for name in CALLBACK),
        Mount("/app", _compressed(PageFiles(directory=folder / "app", check_dir=False))),
        Mount("/vendor", RuntimeFiles(directory=folder / "vendor", check_dir=False)),
        Mount(f"/{ASSETS}", _immutable_files(folder / ASSETS)),
    ]


def page_policy(folder: Path | None) -> str | None:
    """Return the Content-Security-Policy in the page's head, if there is a page."""
    if folder is None:
        return None
    try:
        page = (folder / "index.html").read_text("utf-8")
    except OSError:
        return None
    reader = _PolicyReader()
    reader.feed(page)
    return reader.policy


class _PolicyReader(HTMLParser):
    policy: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "meta" and (named.get("http-equiv") or "").lower() == "content-security-policy":
            # Markup may contain line breaks, a header may not.
            self.policy = " ".join((named.get("content") or "").split())
