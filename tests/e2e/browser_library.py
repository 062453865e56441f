"""The library in a page of the tests, in which a test can run Python."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, expect

from tests.support import library_page
from tests.support.paths import ROOT
from tests.support.server_process import PASSWORDS

RUN = """async ([source, limit]) => {
    let timer;
    const late = new Promise((_, fail) => {
        const error = new Error(`no value after ${limit} ms of: ${source}`);
        timer = setTimeout(() => fail(error), limit);
    });
    try {
        return await Promise.race([runPython(source), late]);
    } finally {
        clearTimeout(timer);
    }
}"""
"""Playwright gives an evaluation no bound: what never ended would stop the whole run of tests."""
LIMIT_MS = 120_000


class Library:
    """Runs Python in a page on the API's origin that has loaded the library.

    Args:
        page: The browser tab to use.
        address: The page; by default one that only the tests have.
    """

    def __init__(self, page: Page, address: str = "/library.html") -> None:
        self.page = page
        self._address = address
        page.route("**/library.*", _serve)
        page.goto(address)
        self.wait()
        self.run("client = None")

    def wait(self) -> None:
        """Wait until the page is there, as after a reload."""
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true")

    def reset(self) -> None:
        """Undo what the last test did, and open a new client."""
        self.page.unroute_all()
        self.page.context.set_offline(offline=False)
        self.page.evaluate(
            "address => { localStorage.clear(); history.replaceState(null, '', address); }",
            self._address,
        )
        self.run("client and client.close()\nopen_client()\nNone")

    def run(self, source: str) -> Any:
        """Run Python in the page; return the value of its last line."""
        return json.loads(self.page.evaluate(RUN, [f"{source}\n", LIMIT_MS]))

    def sign_in(self, name: str = "ada") -> None:
        """Sign the client in."""
        self.run(f"await client.sign_in({name!r}, {PASSWORDS[name]!r})")

    @property
    def record(self) -> dict[str, Any]:
        """The stored session; empty when there is none."""
        text = self.page.evaluate("localStorage.getItem('unexpired')")
        record: dict[str, Any] = json.loads(text) if text else {}
        return record

    def reopen(self, *, options: str = "", **changes: object) -> None:
        """Change the stored session, and open a new client as a reload would."""
        if changes:
            text = json.dumps({**self.record, **changes})
            self.page.evaluate("text => localStorage.setItem('unexpired', text)", text)
        self.run(f"client.close()\nopen_client({options})\nNone")


def copy_page(folder: Path) -> None:
    """Copy what the page loads, and its worker, for a server that has them as ``index.html``.

    Browsers let only a page that a local server has served call another one.

    Args:
        folder: A new folder.
    """
    shutil.copytree(ROOT / "app", folder / "app")
    shutil.copytree(ROOT / "vendor", folder / "vendor")
    (folder / library_page.SETTINGS).write_text(library_page.settings())
    for file in library_page.FOLDER.iterdir():
        shutil.copy(file, folder)
    (folder / "library.html").rename(folder / "index.html")


def _serve(route: Route) -> None:
    content, media_type = library_page.served(urlsplit(route.request.url).path)
    route.fulfill(body=content, content_type=media_type)
