"""WebSockets that are signed in by their first message."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.server.harness import HASHER, PASSWORD
from tests.server.test_auth import with_scopes
from tests.support.clock import FakeClock
from unexpired_server import Auth, AuthSocket, Forbidden, Settings, User, requires
from unexpired_server.http import sockets

LIFE = 900


@pytest.fixture
def auth(make_settings: Callable[..., Settings], clock: FakeClock) -> Auth:
    return Auth(make_settings(leeway=0), now=clock, hasher=HASHER)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify tokens of open sockets again and again."""
    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.01)


class Room:
    """An application with a WebSocket that says back what it receives; how each one ended."""

    def __init__(self, auth: Auth, *scopes: str, **options: Any) -> None:
        self.auth, self.scopes, self.options = auth, scopes, options
        self.received: list[Any] = []
        self._ended: list[str] = []
        self._is_over = threading.Event()

    @property
    def ended(self) -> str:
        """The name of the exception that an endpoint ended with, once it has."""
        assert self._is_over.wait(10)
        return self._ended[0]

    async def endpoint(self, websocket: WebSocket) -> None:
        try:
            async with self.auth.socket(websocket, *self.scopes, **self.options) as socket:
                await self.echo(socket)
        except BaseException as exc:
            self._ended.append(type(exc).__name__)
            raise
        else:
            self._ended.append("")
        finally:
            self._is_over.set()

    async def echo(self, socket: AuthSocket) -> None:
        while True:
            message = await socket.receive_json()
            self.received.append(message)
            answer = {"user": socket.user.id[:2], "scopes": sorted(socket.user.scopes)}
            await socket.send_json({**answer, "said": message})

    def app(self) -> Starlette:
        app = Starlette(
            routes=[WebSocketRoute("/chat", self.endpoint)], lifespan=self.auth.lifespan
        )
        self.auth.install(app)
        return app


@contextmanager
def connected(app: Starlette, path: str = "/chat", **headers: str) -> Iterator[Any]:
    with TestClient(app) as client, client.websocket_connect(path, headers=headers) as socket:
        yield socket


async def send_forever(socket: AuthSocket) -> None:
    while True:
        await socket.send_bytes(b"tick")
        await asyncio.sleep(0.001)


def closing(socket: Any) -> tuple[str, int, str]:
    """The last message's code, and the code and the reason of the close that follows it."""
    error = socket.receive_json()
    assert error.keys() == {"type", "code", "error"}
    assert error["type"] == "error"
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return error["code"], closed.value.code, closed.value.reason


def sign_in(client: TestClient) -> dict[str, Any]:
    response = client.post("/api/login", json={"username": "ada", "password": PASSWORD})
    tokens: dict[str, Any] = response.json()
    return tokens


# -- Signing in ------------------------------------------------------------------------------------


def test_the_first_message_signs_in_and_the_host_receives_the_others(
    auth: Auth, clock: FakeClock
) -> None:
    room = Room(auth)
    with connected(room.app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json() == {"type": "ready", "expiresIn": LIFE}
        socket.send_json({"text": "hello"})
        assert socket.receive_json() == {
            "user": "00",
            "scopes": ["chat"],
            "said": {"text": "hello"},
        }
        socket.close()
        assert room.ended == ""  # Without an exception, though the client went.


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"token": "x"}, "INVALID_TOKEN"),
        ({"token": ""}, "INVALID_TOKEN"),
        ({"token": None}, "NO_TOKEN"),
        ({"token": "x", "room": 1}, "NO_TOKEN"),
        ({"hello": "x"}, "NO_TOKEN"),
        ("token", "NO_TOKEN"),
        ({"token": "x" * sockets.MAXIMUM_LENGTH}, "NO_TOKEN"),
    ],
)
def test_a_first_message_without_a_good_token_is_refused(
    auth: Auth, first: object, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(auth)
    with connected(room.app()) as socket:
        socket.send_json(first)
        assert closing(socket) == (code, 4401, code)
    assert room.received == []
    assert not caplog.records


@pytest.mark.parametrize(
    "first", ["", 'no JSON with "token"', '{"token": "\ud800"}', '{"token":1,"token":"x"}']
)
def test_a_first_message_that_is_no_json_is_refused(auth: Auth, first: str) -> None:
    with connected(Room(auth).app()) as socket:
        socket.send_text(first)
        assert closing(socket) == ("NO_TOKEN", 4401, "NO_TOKEN")


def test_a_first_message_of_bytes_is_refused(auth: Auth, clock: FakeClock) -> None:
    with connected(Room(auth).app()) as socket:
        socket.send_bytes(json.dumps({"token": with_scopes(auth, clock)}).encode())
        assert closing(socket) == ("NO_TOKEN", 4401, "NO_TOKEN")


def test_a_client_that_sends_nothing_is_refused_in_time(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "FIRST_SECONDS", 0.01)
    with connected(Room(auth).app()) as socket:
        assert closing(socket) == ("NO_TOKEN", 4401, "NO_TOKEN")


def test_a_client_that_goes_before_its_token_is_no_error(
    auth: Auth, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(auth)
    with connected(room.app()) as socket:
        socket.close()
        assert room.ended == "TokenMissing"
    assert not caplog.records


def test_an_expired_token_is_refused_with_its_code(auth: Auth, clock: FakeClock) -> None:
    token = with_scopes(auth, clock)
    clock.advance(LIFE)
    with connected(Room(auth).app()) as socket:
        socket.send_json({"token": token})
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")


def test_a_missing_scope_closes_with_4403(auth: Auth, clock: FakeClock) -> None:
    with connected(Room(auth, "chat").app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "mail")})
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


def test_without_the_lifespan_the_client_may_try_again_later(auth: Auth, clock: FakeClock) -> None:
    client = TestClient(Room(auth).app())  # It enters the lifespan only in a with.
    with client.websocket_connect("/chat") as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert closing(socket) == ("UNAVAILABLE", 1013, "UNAVAILABLE")


def test_a_bad_scope_is_an_error_of_the_host_before_anything_is_sent(auth: Auth) -> None:
    with (
        pytest.raises(ValueError, match="scope"),
        connected(Room(auth, "a b").app()),
    ):
        pass


@pytest.mark.parametrize("origin", ["https://other.example", "null"])
def test_only_named_origins_may_connect_where_origins_are_named(
    auth: Auth, clock: FakeClock, origin: str
) -> None:
    app = Room(auth, origins=["https://app.example"]).app()
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        connected(app, origin=origin),
    ):
        pass
    assert (refused.value.status_code, refused.value.json()["code"]) == (403, "FORBIDDEN")
    for headers in ({"origin": "https://app.example"}, {}):
        with connected(Room(auth, origins=["https://app.example"]).app(), **headers) as socket:
            socket.send_json({"token": with_scopes(auth, clock)})
            assert socket.receive_json()["type"] == "ready"


def test_one_text_in_place_of_origins_is_refused_as_parts_of_it_would_be_let_in(auth: Auth) -> None:
    app = Room(auth, origins="https://app.example.com").app()
    with (
        pytest.raises(ValueError, match="origins"),
        connected(app, origin="https://app.example.co"),
    ):
        pass


# -- While it is open ------------------------------------------------------------------------------


def test_a_renewal_is_not_seen_by_the_host_and_brings_its_scopes(
    auth: Auth, clock: FakeClock
) -> None:
    room = Room(auth)
    with connected(room.app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "one")})
        socket.receive_json()
        clock.advance(LIFE - 1)
        socket.send_json({"token": with_scopes(auth, clock, "two", sid="2" * 32)})
        assert socket.receive_json() == {"type": "ready", "expiresIn": LIFE}
        clock.advance(LIFE - 1)
        socket.send_json("still here")
        assert socket.receive_json()["scopes"] == ["two"]
    assert room.received == ["still here"]


def test_a_token_that_expires_without_renewal_closes_and_the_context_ends_quietly(
    auth: Auth, clock: FakeClock
) -> None:
    room = Room(auth)
    with connected(room.app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        clock.advance(LIFE)
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")
    assert room.ended == ""


def test_a_session_that_is_signed_out_elsewhere_closes(auth: Auth) -> None:
    with TestClient(Room(auth).app()) as client:
        tokens = sign_in(client)
        with client.websocket_connect("/chat") as socket:
            socket.send_json({"token": tokens["accessToken"]})
            socket.receive_json()
            client.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
            assert closing(socket) == ("SESSION_REVOKED", 4401, "SESSION_REVOKED")


def test_another_users_token_ends_it(auth: Auth, clock: FakeClock) -> None:
    with connected(Room(auth).app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        socket.send_json({"token": with_scopes(auth, clock, sub="2" * 32)})
        assert closing(socket) == ("INVALID_TOKEN", 4401, "INVALID_TOKEN")


def test_a_renewal_that_has_lost_the_scope_ends_it(auth: Auth, clock: FakeClock) -> None:
    with connected(Room(auth, "chat").app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        socket.receive_json()
        socket.send_json({"token": with_scopes(auth, clock)})
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


@pytest.mark.parametrize(
    "message",
    [
        {"token": 5},
        {"token": "x", "kind": "api"},
        {"Token": "x"},
        [{"token": "x"}],
        {"nested": {"token": "x"}},
        'the "token" is lost',
        {"token": "x" * sockets.MAXIMUM_LENGTH},
    ],
)
def test_a_message_that_only_looks_like_a_token_reaches_the_host(
    auth: Auth, clock: FakeClock, message: object
) -> None:
    with connected(Room(auth).app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        socket.send_json(message)
        assert socket.receive_json()["said"] == message


def test_messages_arrive_whole_and_in_order_also_while_the_host_is_busy(
    auth: Auth, clock: FakeClock
) -> None:
    count = 3 * sockets.WAITING_MESSAGES
    got: list[Any] = []

    class Busy(Room):
        async def echo(self, socket: AuthSocket) -> None:
            go_on = await socket.receive_json()
            assert go_on == 0
            async for message in socket.iter_json():
                got.append(message)
                await asyncio.sleep(0)
                if message == count:
                    break
            await socket.send_json("done")

    with connected(Busy(auth).app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        for number in range(count + 1):
            socket.send_json(number)
        assert socket.receive_json() == "done"
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == 1000
    assert got == [*range(1, count + 1)]


def test_a_renewal_reaches_a_host_that_only_sends(auth: Auth, clock: FakeClock) -> None:
    class Feed(Room):
        async def echo(self, socket: AuthSocket) -> None:
            while "two" not in socket.user.scopes:
                await asyncio.sleep(0.001)
            await socket.send_json("news")

    with connected(Feed(auth).app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "one")})
        socket.receive_json()
        socket.send_json({"token": with_scopes(auth, clock, "two")})
        assert socket.receive_json()["type"] == "ready"
        assert socket.receive_json() == "news"


def test_once_it_has_ended_sending_and_receiving_in_tasks_say_so(
    auth: Auth, clock: FakeClock
) -> None:
    codes: dict[str, int] = {}

    class Tasks(Room):
        async def echo(self, socket: AuthSocket) -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.receive(socket))
                tasks.create_task(self.send(socket))
            raise ExceptionGroup("as of a task group", [WebSocketDisconnect(4401)])

        async def receive(self, socket: AuthSocket) -> None:
            with pytest.raises(WebSocketDisconnect) as ended:
                await socket.receive_text()
            codes["receive"] = ended.value.code

        async def send(self, socket: AuthSocket) -> None:
            with pytest.raises(WebSocketDisconnect) as ended:
                await send_forever(socket)
            codes["send"] = ended.value.code

    room = Tasks(auth)
    with connected(room.app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert socket.receive_json()["type"] == "ready"
        clock.advance(LIFE)
        while socket.receive()["type"] != "websocket.close":
            pass
        assert room.ended == ""  # Also where a task group wraps the exception.
    assert codes == {"receive": 4401, "send": 4401}


def test_an_exception_of_the_host_is_its_own(auth: Auth, clock: FakeClock) -> None:
    class Broken(Room):
        async def echo(self, _socket: AuthSocket) -> None:
            raise LookupError

    def use(socket: Any) -> None:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert room.ended == "LookupError"

    room = Broken(auth)
    with pytest.raises(LookupError), connected(room.app()) as socket:
        use(socket)


def test_the_disconnect_of_another_socket_is_not_taken_for_its_own(
    auth: Auth, clock: FakeClock
) -> None:
    class Others(Room):
        async def echo(self, _socket: AuthSocket) -> None:
            raise WebSocketDisconnect(1006)  # As of sending to somebody who has gone.

    def use(socket: Any) -> None:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert room.ended == "WebSocketDisconnect"

    room = Others(auth)
    with pytest.raises(WebSocketDisconnect), connected(room.app()) as socket:
        use(socket)


def test_a_host_may_refuse_by_raising_our_failure(auth: Auth, clock: FakeClock) -> None:
    class Full(Room):
        async def echo(self, _socket: AuthSocket) -> None:
            raise Forbidden("The room is full.")

    with connected(Full(auth).app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


def test_a_host_may_close_it_itself(auth: Auth, clock: FakeClock) -> None:
    class Closing(Room):
        async def echo(self, socket: AuthSocket) -> None:
            await socket.close(4000, "enough")

    room = Closing(auth)
    with connected(room.app()) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        socket.receive_json()
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert (closed.value.code, closed.value.reason) == (4000, "enough")
    assert room.ended == ""


def test_a_host_may_accept_it_with_a_subprotocol_before(auth: Auth, clock: FakeClock) -> None:
    class Own(Room):
        async def endpoint(self, websocket: WebSocket) -> None:
            await websocket.accept("chat.v1")
            await super().endpoint(websocket)

    with (
        TestClient(Own(auth).app()) as client,
        client.websocket_connect("/chat", subprotocols=["chat.v1"]) as session,
    ):
        socket: Any = session
        assert socket.accepted_subprotocol == "chat.v1"
        socket.send_json({"token": with_scopes(auth, clock)})
        assert socket.receive_json()["type"] == "ready"


# -- By the header, and elsewhere than in a function of the application ----------------------------


@requires("chat")
async def by_header(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"user": websocket.user.id[:2], "scopes": websocket.auth.scopes})
    await websocket.close()


def test_requires_guards_a_socket_by_its_header(auth: Auth, clock: FakeClock) -> None:
    app = Starlette(routes=[WebSocketRoute("/chat", by_header)], lifespan=auth.lifespan)
    auth.install(app)
    token = with_scopes(auth, clock, "chat")
    with connected(app, authorization=f"Bearer {token}") as socket:
        assert socket.receive_json() == {"user": "00", "scopes": ["authenticated", "chat"]}
    headers = {"authorization": f"Bearer {with_scopes(auth, clock)}"}
    with pytest.raises(WebSocketDenialResponse) as refused, connected(app, **headers):
        pass
    assert (refused.value.status_code, refused.value.json()["code"]) == (403, "FORBIDDEN")


def test_requires_guards_a_socket_by_its_first_message(auth: Auth, clock: FakeClock) -> None:
    app = Starlette(routes=[WebSocketRoute("/chat", by_header)], lifespan=auth.lifespan)
    auth.install(app)
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json()["type"] == "ready"
        assert socket.receive_json() == {"user": "00", "scopes": ["authenticated", "chat"]}
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert socket.receive_json()["type"] == "ready"
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")


def test_in_fastapi_the_user_is_a_dependency_of_a_socket_with_a_header(
    auth: Auth, clock: FakeClock
) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, user: Annotated[User, Depends(auth.user)]) -> None:
        await websocket.accept()
        await websocket.send_json(user.id)
        await websocket.close()

    with connected(app, authorization=f"Bearer {with_scopes(auth, clock)}") as socket:
        assert socket.receive_json() == "0" * 32
    with pytest.raises(WebSocketDenialResponse) as refused, connected(app, authorization="Bearer"):
        pass
    assert (refused.value.status_code, refused.value.json()["code"]) == (401, "NO_TOKEN")


@pytest.mark.parametrize("nested", [False, True])
def test_a_refusal_is_quiet_in_every_kind_of_endpoint(auth: Auth, *, nested: bool) -> None:
    class Endpoint(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket) -> None:
            async with auth.socket(websocket):
                raise AssertionError("nobody is let in")

    routes = [WebSocketRoute("/chat", Endpoint)]
    app = Starlette(
        routes=[Mount("/sub", app=Starlette(routes=routes))] if nested else routes,
        lifespan=auth.lifespan,
    )
    auth.install(app)
    with connected(app, "/sub/chat" if nested else "/chat") as socket:
        socket.send_json({"token": "x"})
        assert closing(socket) == ("INVALID_TOKEN", 4401, "INVALID_TOKEN")


def test_a_fastapi_application_that_is_mounted_refuses_quietly(auth: Auth) -> None:
    app, sub = FastAPI(lifespan=auth.lifespan), FastAPI()
    auth.install(app)
    app.mount("/sub", sub)

    @sub.websocket("/chat")
    async def chat(websocket: WebSocket) -> None:
        async with auth.socket(websocket):
            raise AssertionError("nobody is let in")

    with connected(app, "/sub/chat") as socket:
        socket.send_json({"token": "x"})
        assert closing(socket) == ("INVALID_TOKEN", 4401, "INVALID_TOKEN")


# -- As a dependency of FastAPI --------------------------------------------------------------------


def dependency_room(auth: Auth, *scopes: str) -> tuple[FastAPI, list[str]]:
    """A FastAPI application whose WebSocket is written as any other; and how each one ended."""
    app, ended = FastAPI(lifespan=auth.lifespan), []
    auth.install(app)
    dependency = auth.requires(*scopes) if scopes else auth.user

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, user: Annotated[User, Depends(dependency)]) -> None:
        await websocket.accept()
        try:
            async for message in websocket.iter_json():
                await websocket.send_json({"user": user.id[:2], "said": message})
        finally:
            ended.append("over")

    return app, ended


def test_the_current_user_of_a_websocket_route_sends_the_token_first(
    auth: Auth, clock: FakeClock
) -> None:
    """The route accepts, receives and sends as any other; later tokens are not among it."""
    app, ended = dependency_room(auth)
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json() == {"type": "ready", "expiresIn": LIFE}
        socket.send_json({"text": "hello"})
        assert socket.receive_json() == {"user": "00", "said": {"text": "hello"}}
        clock.advance(LIFE - 1)
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json() == {"type": "ready", "expiresIn": LIFE}
        clock.advance(LIFE - 1)
        socket.send_json({"text": "still here"})
        assert socket.receive_json() == {"user": "00", "said": {"text": "still here"}}
    assert ended == ["over"]
    assert not sockets.SERVING  # Nothing follows it any more.


def test_a_websocket_route_may_ask_for_its_user_as_often_as_it_wants(
    auth: Auth, clock: FakeClock
) -> None:
    app = FastAPI(lifespan=auth.lifespan, dependencies=[Depends(auth.requires("chat"))])
    auth.install(app)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, user: Annotated[User, Depends(auth.user)]) -> None:
        await websocket.accept()
        await websocket.send_json([user.id, (await auth.user(websocket)).id])

    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json()["type"] == "ready"
        assert socket.receive_json() == ["0" * 32] * 2


def test_the_user_of_one_auth_is_not_that_of_another(
    auth: Auth, clock: FakeClock, make_settings: Callable[..., Settings]
) -> None:
    staff = Auth(make_settings(leeway=0, audience="staff"), now=clock, hasher=HASHER)
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, user: Annotated[User, Depends(auth.user)]) -> None:
        assert user.id == "0" * 32
        await staff.user(websocket)
        raise AssertionError("the staff has another Auth")

    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock)})
        assert socket.receive_json()["type"] == "ready"
        assert closing(socket) == ("NO_TOKEN", 4401, "NO_TOKEN")


def test_a_websocket_route_ends_with_a_token_that_has_lost_its_scope(
    auth: Auth, clock: FakeClock
) -> None:
    app, ended = dependency_room(auth, "chat")
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        socket.receive_json()
        socket.send_json({"token": with_scopes(auth, clock)})
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")
    assert ended == ["over"]


def test_a_websocket_is_signed_in_once(auth: Auth, clock: FakeClock) -> None:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.websocket("/chat")
    async def chat(websocket: WebSocket, user: Annotated[User, Depends(auth.user)]) -> None:
        with pytest.raises(RuntimeError, match="has signed in already"):
            async with auth.socket(websocket):
                raise AssertionError(user)
        await websocket.accept()
        await websocket.send_json("refused")

    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json()["type"] == "ready"
        assert socket.receive_json() == "refused"


def test_a_websocket_route_ends_when_its_users_token_expires(auth: Auth, clock: FakeClock) -> None:
    app, ended = dependency_room(auth)
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        socket.receive_json()
        clock.advance(LIFE + 1)
        assert closing(socket) == ("TOKEN_EXPIRED", 4401, "TOKEN_EXPIRED")
    assert ended == ["over"]


def test_a_websocket_route_may_have_no_user(auth: Auth) -> None:
    """Without the header nothing is waited for, because a public WebSocket may send anything."""
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.websocket("/chat")
    async def chat(
        websocket: WebSocket, user: Annotated[User | None, Depends(auth.optional)]
    ) -> None:
        await websocket.accept()
        await websocket.send_json(user and user.id)

    with connected(app) as socket:
        assert socket.receive_json() is None


def test_a_websocket_route_refuses_a_bad_first_message(auth: Auth) -> None:
    app, ended = dependency_room(auth)
    with connected(app) as socket:
        socket.send_json({"text": "hello"})
        assert closing(socket) == ("NO_TOKEN", 4401, "NO_TOKEN")
    assert ended == []


def test_a_websocket_route_that_needs_a_scope_refuses_a_user_without_it(
    auth: Auth, clock: FakeClock
) -> None:
    app, ended = dependency_room(auth, "moderate")
    with connected(app) as socket:
        socket.send_json({"token": with_scopes(auth, clock, "chat")})
        assert socket.receive_json()["type"] == "ready"
        assert closing(socket) == ("FORBIDDEN", 4403, "FORBIDDEN")
    assert ended == []


def test_a_program_may_send_the_token_of_a_websocket_route_in_the_header(
    auth: Auth, clock: FakeClock
) -> None:
    app, _ = dependency_room(auth)
    token = with_scopes(auth, clock, "chat")
    with connected(app, Authorization=f"Bearer {token}") as socket:
        socket.send_json({"text": "hello"})
        assert socket.receive_json() == {"user": "00", "said": {"text": "hello"}}
