"""The page itself: its own files and nothing else of the folder they lie in."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePath

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.errors import NotFound

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
"""The system's own table differs from machine to machine, and modules and WebAssembly do not
load under a wrong type."""


class PageFiles(StaticFiles):
    """Static files that browsers always ask about again, and that may be missing altogether."""

    async def check_config(self) -> None:
        """A folder that is not there is a 404, not a fault."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Serve a file, unless it is hidden or one of Python's caches."""
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
        """Say what the file is, and that a kept copy must be checked by its ETag."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        if "content-type" in response.headers:
            kind = MEDIA_TYPES.get(Path(full_path).suffix, "application/octet-stream")
            response.headers["Content-Type"] = kind
        return response


async def login(request: Request) -> Response:
    """Send an address that people may know to the page's own sign-in view."""
    query = request.url.query
    target = f"/#/login?{query}" if query else "/#/login"
    return RedirectResponse(target, 303)


def page_routes(folder: Path) -> list[BaseRoute]:
    """The routes of a page.

    Args:
        folder: Holds index.html, pyscript.toml, app/ and vendor/; whatever is missing is 404.
    """
    top = PageFiles(directory=folder, check_dir=False)
    return [
        Route("/login", login),
        Route("/", _file(top, "index.html")),
        Route("/pyscript.toml", _file(top, "pyscript.toml")),
        *(
            Mount(f"/{name}", PageFiles(directory=folder / name, check_dir=False))
            for name in ("app", "vendor")
        ),
    ]


def _file(folder: PageFiles, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await folder.get_response(name, request.scope)

    return endpoint
