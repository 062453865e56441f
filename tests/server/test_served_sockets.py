"""WebSockets of a FastAPI application that uvicorn serves, with a client over the network."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.connection import Connection

from tests.support.served_app import ServedApp

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


def connected(served: ServedApp, path: str = "/chat", **options: Any) -> ClientConnection:
    return connect(served.url.replace("http", "ws") + path, **options)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    folder = tmp_path_factory.mktemp("host")
    host = ServedApp(folder, HOST, access_ttl=LIFE, leeway=0).start()
    yield host
    host.stop()
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


def test_a_socket_lives_across_expiries_by_renewal(served: ServedApp) -> None:
    with connected(served) as socket:
        tokens, until = served.sign_in(), time.time() + 2 * LIFE
        assert say(socket, {"token": tokens["accessToken"]}) == {
            "type": "ready", "expiresIn": pytest.approx(LIFE, abs=1)
        }  # fmt: skip
        while time.time() < until:
            tokens = served.post("/api/refresh", {"refreshToken": tokens["refreshToken"]})
            assert say(socket, {"token": tokens["accessToken"]})["type"] == "ready"
            assert say(socket, {"text": "hello"}) == {"said": {"text": "hello"}}
            time.sleep(LIFE / 4)  # A fast machine would reach the limit of refreshes.


def test_without_renewal_it_closes_when_its_token_expires(served: ServedApp) -> None:
    with connected(served) as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")


def test_it_closes_soon_after_its_session_is_signed_out(served: ServedApp) -> None:
    tokens = served.sign_in()
    with connected(served) as socket:
        say(socket, {"token": tokens["accessToken"]})
        served.post("/api/logout", {"refreshToken": tokens["refreshToken"]})
        assert closing(socket) == ("SESSION_REVOKED", 4401, "SESSION_REVOKED")


def test_a_refusal_says_why(served: ServedApp) -> None:
    with connected(served) as socket:
        socket.send('{"token": "x"}')
        assert closing(socket) == ("INVALID_TOKEN", 4401, "INVALID_TOKEN")
    with connected(served, "/picky", origin="https://app.example") as socket:
        socket.send(json.dumps({"token": served.sign_in()["accessToken"]}))
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


def test_a_page_of_another_origin_is_refused_before_the_handshake(served: ServedApp) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connected(served, "/picky", origin="https://b.example"),
    ):
        pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body or b"")["code"] == "FORBIDDEN"


def test_a_client_that_goes_at_any_time_leaves_no_error(served: ServedApp) -> None:
    with connected(served):
        pass
    with connected(served) as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
    with connected(served) as socket:
        say(socket, {"token": served.sign_in()["accessToken"]})
        socket.socket.close()
