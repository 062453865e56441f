"""Requests of other pages with the session's cookie, byte by byte to a server of its own process.

A browser stops most of them before: by the preflight of CORS, or because a form cannot send JSON.
Here nothing does, so it is the server's own check of ``Origin`` that refuses them.
"""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.server_process import PASSWORDS, ServerProcess

FOREIGN = "This origin may not use the session's cookie."
CREDENTIALS = {"username": "ada", "password": PASSWORDS["ada"], "cookie": True}


class Wire:
    """A connection of a browser in which ada is signed in.

    Args:
        url: The server's.

    Attributes:
        cookie: The session's, with its name.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookie = ""
        status, _, self.cookie = self.post("/api/login", CREDENTIALS, url)
        assert (status, self.cookie.partition("=")[0]) == (200, "__Host-unexpired")

    def post(self, path: str, body: object, origin: str | None) -> tuple[int, str, str]:
        """Send JSON with the cookie; return the status, the error and the cookie that is set."""
        headers = {"Content-Type": "application/json", "Cookie": self.cookie}
        if origin is not None:
            headers["Origin"] = origin
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        error = json.loads(text).get("error", "") if text else ""
        return response.status, error, response.getheader("Set-Cookie", "").partition(";")[0]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder: Path = tmp_path_factory.mktemp("server")
    process = ServerProcess.with_users(folder, cookies="true")
    yield Wire(process.url)
    process.stop()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "another port"])
def test_the_server_itself_refuses_the_cookie_to_other_origins(
    wire: Wire, origin: str | None
) -> None:
    if origin == "another port":
        origin = wire.url[:-1] + ("1" if wire.url[-1] != "1" else "2")
    for path, body in (("refresh", {}), ("logout", {}), ("login", CREDENTIALS)):
        assert wire.post(f"/api/{path}", body, origin) == (400, FOREIGN, ""), path
    # The session is as it was: the same cookie still refreshes it.
    status, _, cookie = wire.post("/api/refresh", {}, wire.url)
    assert status == 200
    assert cookie not in {"", wire.cookie}
    wire.cookie = cookie
