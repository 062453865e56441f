"""WebSockets whose user's access token is bound to a key: each token comes with a proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from tests.server.harness import HASHER
from tests.server.test_sockets import Room, closing
from tests.support.clock import FakeClock
from tests.support.proof_maker import ProofMaker
from unexpired_server import Auth, Settings, requires
from unexpired_server.http import sockets

URL = "http://testserver/chat"
ID = "0" * 32
REFUSED = ("INVALID_PROOF", 4401, "INVALID_PROOF")
READY = {"type": "ready", "expiresIn": 900}


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify tokens of open sockets again and again."""
    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.01)


@dataclass
class Program:
    """A client with a key, and a room to chat in."""

    client: TestClient
    auth: Auth
    key: ProofMaker
    nonce: str = ""
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.issued()

    def issued(self, *, user_id: str = ID, is_bound: bool = True) -> str:
        jkt = self.key.jkt if is_bound else None
        return self.auth.service.access_tokens.issue(user_id, "5" * 32, 900, jkt=jkt).token

    def proof(self, key: ProofMaker | None = None, **changes: Any) -> str:
        given = {"method": "GET", "url": URL, "nonce": self.nonce, "access_token": self.token}
        return (key or self.key).proof(**{**given, **changes})

    def signed(self, **changes: Any) -> dict[str, str]:
        return {"token": self.token, "proof": self.proof(**changes)}

    def connect(self, path: str = "/chat", **headers: str) -> Any:
        return self.client.websocket_connect(path, headers=headers)


@requires()
async def greet(websocket: WebSocket) -> None:
    """A route that is written as any other."""
    await websocket.accept()
    await websocket.send_json({"id": websocket.user.id})
    await websocket.close()


@pytest.fixture
def room(make_settings: Callable[..., Settings], clock: FakeClock) -> Room:
    return Room(Auth(make_settings(dpop="all", leeway=0), now=clock, hasher=HASHER))


@pytest.fixture
def program(room: Room, clock: FakeClock) -> Iterator[Program]:
    @requires()
    async def mine(request: Any) -> PlainTextResponse:  # noqa: ARG001 - by it the user is found
        return PlainTextResponse("")

    routes = [
        WebSocketRoute("/chat", room.endpoint),
        WebSocketRoute("/greet", greet),
        Route("/mine", mine),
    ]
    app = Starlette(routes=routes, lifespan=room.auth.lifespan)
    room.auth.install(app)
    with TestClient(app) as client:
        found = Program(client, room.auth, ProofMaker(clock))
        proof = found.proof(url="http://testserver/mine", nonce=None)
        headers = {"Authorization": f"DPoP {found.token}", "DPoP": proof}
        found.nonce = client.get("/mine", headers=headers).json()["nonce"]
        yield found


def test_the_first_message_has_a_proof_and_the_host_never_sees_it(
    program: Program, room: Room
) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed())
        assert socket.receive_json() == READY
        socket.send_json("hello")
        assert socket.receive_json()["said"] == "hello"
    assert room.received == ["hello"]


@pytest.mark.parametrize("url", ["ws://testserver/chat", "https://testserver/chat?room=1"])
def test_a_proof_may_name_the_address_by_each_scheme_and_without_its_query(
    program: Program, url: str
) -> None:
    with program.connect("/chat?room=1") as socket:
        socket.send_json(program.signed(url=url))
        assert socket.receive_json() == READY


MESSAGES: dict[str, Callable[[Program], Mapping[str, str | None]]] = {
    "no proof": lambda p: {"token": p.token},
    "null": lambda p: {"token": p.token, "proof": None},
    "an empty proof": lambda p: {"token": p.token, "proof": ""},
    "the token as its proof": lambda p: {"token": p.token, "proof": p.token},
    "no ath": lambda p: p.signed(access_token=None),
    "for another token of this key": lambda p: p.signed(access_token=p.issued()),
    "for another method": lambda p: p.signed(method="POST"),
    "for another path": lambda p: p.signed(url="http://testserver/other"),
    "for another host": lambda p: p.signed(url="http://other.example/chat"),
    "by another key": lambda p: p.signed(key=ProofMaker(p.key.now)),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_bound_token_without_a_proof_for_the_websocket_is_refused(
    program: Program, room: Room, message: str
) -> None:
    with program.connect() as socket:
        socket.send_json(MESSAGES[message](program))
        assert closing(socket) == REFUSED
    assert room.received == []


@pytest.mark.parametrize("message", MESSAGES)
def test_a_renewal_without_a_proof_ends_it(program: Program, message: str) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed())
        assert socket.receive_json() == READY
        program.token = program.issued()
        socket.send_json(MESSAGES[message](program))
        assert closing(socket) == REFUSED


def test_a_proof_is_good_for_one_message(program: Program) -> None:
    message = program.signed()
    with program.connect() as socket:
        socket.send_json(message)
        assert socket.receive_json() == READY
        socket.send_json(message)
        assert closing(socket) == REFUSED
    with program.connect() as socket:
        socket.send_json(message)
        assert closing(socket) == REFUSED


def test_without_a_current_nonce_the_client_receives_one_and_sends_again(program: Program) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed(nonce=None))
        told = socket.receive_json()
        assert (told["type"], told["code"], told["nonce"]) == (
            "error",
            "USE_DPOP_NONCE",
            program.nonce,
        )
        socket.send_json(program.signed(nonce=told["nonce"]))
        assert socket.receive_json() == READY
        program.token = program.issued()
        socket.send_json(program.signed(nonce="old"))
        assert socket.receive_json()["code"] == "USE_DPOP_NONCE"
        socket.send_json("still here")
        assert socket.receive_json()["said"] == "still here"
        socket.send_json(program.signed())
        assert socket.receive_json() == READY


def test_a_client_that_does_not_take_the_nonce_is_refused(program: Program) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed(nonce=None))
        assert socket.receive_json()["code"] == "USE_DPOP_NONCE"
        socket.send_json(program.signed(nonce=None))
        assert socket.receive_json()["code"] == "USE_DPOP_NONCE"
        assert socket.receive()["code"] == 4401


def test_it_stays_open_by_its_token_and_ends_with_it(program: Program, clock: FakeClock) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed())
        assert socket.receive_json() == READY
        clock.advance(899)
        socket.send_json("here")
        assert socket.receive_json()["said"] == "here"
        clock.advance(1)
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")


@pytest.mark.parametrize("proof", [{}, {"proof": None}, {"proof": "x"}])
def test_an_unbound_token_needs_no_proof(program: Program, proof: dict[str, str | None]) -> None:
    with program.connect() as socket:
        socket.send_json({"token": program.issued(is_bound=False), **proof})
        assert socket.receive_json() == READY


@pytest.mark.parametrize(
    "message", [{"token": "x", "proof": 5}, {"proof": "x"}, {"token": None, "proof": "x"}]
)
def test_a_message_that_only_looks_like_a_proof_reaches_the_host(
    program: Program, message: object
) -> None:
    with program.connect() as socket:
        socket.send_json(program.signed())
        assert socket.receive_json() == READY
        socket.send_json(message)
        assert socket.receive_json()["said"] == message


def test_a_route_that_is_written_already_takes_the_same_message(program: Program) -> None:
    for message in (program.signed(url="http://testserver/greet"), {"token": program.token}):
        with program.connect("/greet") as socket:
            socket.send_json(message)
            if "proof" in message:
                assert [socket.receive_json() for _ in range(2)] == [READY, {"id": ID}]
            else:
                assert closing(socket) == REFUSED


def test_a_program_may_send_both_in_headers(program: Program) -> None:
    url = "http://testserver/greet"
    with program.connect(
        "/greet", authorization=f"DPoP {program.token}", dpop=program.proof(url=url)
    ) as socket:
        assert socket.receive_json() == {"id": ID}
    for headers in (
        {"authorization": f"Bearer {program.token}"},
        {"authorization": f"Bearer {program.token}", "dpop": program.proof(url=url)},
        {"authorization": f"DPoP {program.token}"},
        {"authorization": f"DPoP {program.token}", "dpop": program.proof()},
    ):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            program.connect("/greet", **headers),
        ):
            pass
        assert (refused.value.status_code, refused.value.json()["code"]) == (401, "INVALID_PROOF")
