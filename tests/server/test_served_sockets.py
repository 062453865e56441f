"""WebSockets of a FastAPI application that uvicorn serves, with a client over the network."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from tests.support.paths import ROOT
from tests.support.server_process import clean_environment

PASSWORD = "correct horse"
LIFE = 3

HOST = """
from fastapi import FastAPI, WebSocket
from unexpired_server import Auth

auth = Auth()
app = FastAPI(lifespan=auth.lifespan)
auth.install(app)

@app.websocket("/chat")
async def chat(websocket: WebSocket):
    async with auth.socket(websocket) as socket:
        async for message in socket.iter_json():
            await socket.send_json({"said": message})

@app.websocket("/picky")
async def picky(websocket: WebSocket):
    async with auth.socket(websocket, "chat", origins=["https://app.example"]) as socket:
        await socket.send_json("never")
"""


class Served:
    """The running application, and its log."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._log = folder / "host.log"
        command = [sys.executable, "-m", "uvicorn", "main:app", "--port", "0"]
        with self._log.open("w") as log:
            self.child = subprocess.Popen(  # noqa: S603 - our own application
                command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.url = self._address()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def _address(self) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end and self.child.poll() is None:
            if found := re.search(r"running on (http://\S+)", self.log):
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(self.log)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = httpx.post(self.url + path, json=body, timeout=60)
        return response.json() if response.content else {}

    def sign_in(self) -> dict[str, Any]:
        return self.post("/api/login", {"username": "ada", "password": PASSWORD})

    def connect(self, path: str = "/chat", **options: Any) -> ClientConnection:
        return connect(self.url.replace("http", "ws") + path, **options)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("host")
    (folder / "main.py").write_text(HOST)
    paths = os.pathsep.join(map(str, (ROOT / "app", ROOT / "server")))
    environment = clean_environment() | {
        "PYTHONPATH": paths, "UNEXPIRED_ACCESS_TTL": str(LIFE), "UNEXPIRED_LEEWAY": "0"
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "unexpired_server", "user", "add", "ada"],
        cwd=folder, env=environment, input=f"{PASSWORD}\n", text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    host = Served(folder, environment)
    yield host
    host.child.terminate()
    host.child.wait(60)
    assert "Traceback" not in host.log  # Every refusal is quiet.


def say(socket: Connection, message: object) -> Any:
    socket.send(json.dumps(message))
    return json.loads(socket.recv(30))


def closing(socket: Connection) -> tuple[str, int, str]:
    """The code of the error that comes last, and the code and the reason of the close."""
    error = json.loads(socket.recv(30))
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(30)
    assert closed.value.rcvd is not None
    return error["code"], closed.value.rcvd.code, closed.value.rcvd.reason


def test_a_socket_lives_across_expiries_by_renewal(served: Served) -> None:
    tokens, until = served.sign_in(), time.time() + 2 * LIFE
    with served.connect() as socket:
        assert say(socket, {"token": tokens["accessToken"]}) == {
            "type": "ready", "expiresIn": pytest.approx(LIFE, abs=1)
        }  # fmt: skip
        while time.time() < until:
            tokens = served.post("/api/refresh", {"refreshToken": tokens["refreshToken"]})
            assert say(socket, {"token": tokens["accessToken"]})["type"] == "ready"
            assert say(socket, {"text": "hello"}) == {"said": {"text": "hello"}}


def test_without_renewal_it_closes_when_its_token_expires(served: Served) -> None:
    with served.connect() as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")


def test_it_closes_soon_after_its_session_is_signed_out(served: Served) -> None:
    tokens = served.sign_in()
    with served.connect() as socket:
        say(socket, {"token": tokens["accessToken"]})
        served.post("/api/logout", {"refreshToken": tokens["refreshToken"]})
        assert closing(socket) == ("SESSION_REVOKED", 4401, "SESSION_REVOKED")


def test_a_refusal_says_why(served: Served) -> None:
    with served.connect() as socket:
        socket.send('{"token": "x"}')
        assert closing(socket) == ("INVALID_TOKEN", 4401, "INVALID_TOKEN")
    with served.connect("/picky", origin="https://app.example") as socket:
        socket.send(json.dumps({"token": served.sign_in()["accessToken"]}))
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


def test_a_page_of_another_origin_is_refused_before_the_handshake(served: Served) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        served.connect("/picky", origin="https://b.example"),
    ):
        pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "FORBIDDEN"


def test_a_client_that_goes_at_any_time_leaves_no_error(served: Served) -> None:
    with served.connect():
        pass
    with served.connect() as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
    with served.connect() as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
        socket.socket.close()
