"""Serves the application of a guide with routes of the user's own added to it, over HTTP.

A guide's Python for programs is one application, as its reader would write it: a snippet with a
``:caption:`` is the file of that name, and all others, one after the other, are ``main.py``. After
the guide's own code come routes that a user might write, one public and one that needs a user
(``guides.OWN_ROUTES``); then a process of its own serves it.

To have a guide tested, add it to ``GUIDES``: ``test_guides.py`` then checks that it signs in, that
the user's own routes work, and that the host's 404, its exceptions and its validation keep their
own form. For what else the guide promises, write a test that takes ``serve_guide``::

    def test_the_feed_of_the_guide_goes_on(serve_guide: ServeGuide) -> None:
        host = serve_guide("how-to/streaming.md")
        response = host.get("/feed", token=host.sign_in())

A snippet that calls the client (``in_browser``, ``client.…``, or ``await`` outside a function) is
for a page: ``host.run_client()`` runs those, one after the other, on CPython against the host.
"""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self
from unittest.mock import patch

import httpx

from tests.docs.guides import Framework, Guide, bare_application, own_routes
from tests.docs.pages import API
from tests.support import plain_http
from tests.support.one_user import PASSWORD, USER, add_user
from tests.support.paths import ROOT
from tests.support.server_process import clean_environment
from unexpired import AsyncClient, MemoryStore
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport

TIMEOUT = 60.0
_ADDRESS = re.compile(r"unning on (http://[\d.]+:\d+)")
_MAIN = "main.py"


class ServeGuide(Protocol):
    """Serves a guide, by its path in ``docs`` and the name of its application."""

    def __call__(self, page: str, app: str = "app") -> Host: ...


@dataclass(frozen=True)
class Host:
    """A running application.

    Attributes:
        guide: Where it comes from; None for a bare application of the framework.
        url: Its address.
        folder: Its files.
        api: The address of the server whose tokens it accepts; its own, if it issues them.
    """

    guide: Guide | None
    url: str
    folder: Path
    api: str

    def get(self, path: str, *, token: str = "", **headers: str) -> httpx.Response:
        """GET a path of the host."""
        return self.request("GET", path, token=token, headers=headers)

    def request(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx.Response:
        """Send a request to the host, with a token if one is given.

        Args:
            method: The HTTP method.
            path: The path, from the root of the host.
            token: An access token.
            **options: Further options of ``httpx.request``.
        """
        headers = {**(options.pop("headers", None) or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return plain_http.request(
            method, self.url + path, headers=headers, timeout=TIMEOUT, **options
        )

    def sign_in(self, username: str = "", password: str = PASSWORD) -> str:
        """Sign in where the host's tokens come from; return an access token."""
        prefix = self.guide.prefix if self.guide and not self.guide.verifies else "/api"
        known = USER if self.guide is None or self.guide.verifies else self.guide.username
        body = {"username": username or known, "password": password}
        response = plain_http.post(f"{self.api}{prefix}/login", json=body, timeout=TIMEOUT)
        assert response.status_code == 200, response.text
        return str(response.json()["accessToken"])

    def run_client(self, **given: Any) -> dict[str, Any]:
        """Run the guide's Python for pages in order, as one; return its names.

        ``AsyncClient.in_browser`` makes a client on CPython on which ada is signed in.

        Args:
            **given: Names that the snippets may use.
        """
        assert self.guide is not None
        text = "\n".join(one.text.replace(API, self.url) for one in self.guide.for_pages)
        names: dict[str, Any] = {"__name__": "snippet", **given}
        asyncio.run(self._run(text, names))
        return names

    async def _run(self, text: str, names: dict[str, Any]) -> None:
        assert self.guide is not None
        made = compile(text, self.guide.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        store = MemoryStore()
        if not self.guide.verifies:
            paths = {f"{one}_path": f"{self.guide.prefix}/{one}" for one in ("login", "refresh")}
            await _client(store, base_url=self.url, **paths).sign_in(self.guide.username, PASSWORD)

        def in_browser(**options: Any) -> AsyncClient:
            return _client(store, **{"base_url": self.url, **options})

        with patch.object(AsyncClient, "in_browser", in_browser):
            waiting = eval(made, names)  # noqa: S307 - Our own documentation.
            if waiting is not None:
                await waiting
        for one in [value for value in names.values() if isinstance(value, AsyncClient)]:
            one.close()


def _client(store: MemoryStore, **options: Any) -> AsyncClient:
    return AsyncClient(ThreadedTransport(UrllibTransport()), store=store, **options)


@dataclass
class Files:
    """The files of an application.

    Attributes:
        texts: The text of each, by its path.
    """

    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, guide: Guide, api: str) -> Self:
        """Return the files that a guide has its reader write, with the user's own routes."""
        files = cls()
        for one in guide.for_programs:
            files.add(one.caption or _MAIN, one.text.replace(API, api))
        files.add(guide.routes_in, own_routes(guide))
        return files

    def add(self, name: str, text: str) -> None:
        """Add to the end of a file."""
        self.texts[name] = self.texts.get(name, "") + f"{text}\n\n"

    def write(self, folder: Path) -> None:
        """Write all of them."""
        for name, text in self.texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@contextmanager
def serving_guide(guide: Guide, folder: Path, api: str) -> Iterator[Host]:
    """Serve a guide's application, with the user's own routes.

    Args:
        guide: The guide.
        folder: An empty folder for its files and its data.
        api: The address of a server of ours, which stands for the reader's API.
    """
    Files.of(guide, api).write(folder)
    if guide.given:
        _run(folder, f"tests.docs.given.{guide.given}")
    if guide.needs_user:
        add_user(folder)
    with _serving(guide.framework, guide.target, folder) as url:
        yield Host(guide, url, folder, api if guide.verifies else url)


@contextmanager
def serving_bare(framework: Framework, folder: Path) -> Iterator[Host]:
    """Serve an application of a framework that has the user's own routes and nothing of ours."""
    Files({_MAIN: bare_application(framework)}).write(folder)
    with _serving(framework, "main:app", folder) as url:
        yield Host(None, url, folder, url)


@contextmanager
def _serving(framework: Framework, target: str, folder: Path) -> Iterator[str]:
    module = ("flask", "--app", target, "run") if framework == "flask" else ("uvicorn", target)
    log = folder / "host.log"
    with log.open("w") as output:
        child = subprocess.Popen(  # noqa: S603 - Our own documentation.
            [sys.executable, "-m", *module, "--port", "0"],
            cwd=folder,
            env=_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(child, log)
    finally:
        child.terminate()
        child.wait(TIMEOUT)


def _address(child: subprocess.Popen[bytes], log: Path) -> str:
    for _ in _until_timeout():
        if found := _ADDRESS.search(log.read_text()):
            return found[1]
        if child.poll() is not None:
            break
    raise RuntimeError(f"the application did not start:\n{log.read_text()}")


def _until_timeout() -> Iterator[None]:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        yield
        time.sleep(0.02)


def _run(folder: Path, module: str) -> None:
    done = subprocess.run(  # noqa: S603 - Our own program.
        [sys.executable, "-m", module],
        cwd=folder,
        env=_environment(),
        text=True,
        check=False,
        capture_output=True,
    )
    assert not done.returncode, done.stderr


def _environment() -> dict[str, str]:
    paths = (ROOT, ROOT / "app", ROOT / "server")
    return clean_environment() | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
