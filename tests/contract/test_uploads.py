"""Uploads of a program through urllib: files in pieces, their progress, and their repetition."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.contract.foreign_servers import ForeignServer, text_response, token_expired
from tests.support.fake_server import make_token
from unexpired import AsyncClient, Client, MemoryStore, ReplayImpossible

SIZE = 5_000_000


@pytest.fixture
def server() -> Iterator[ForeignServer]:
    with ForeignServer() as server:
        yield server


@pytest.fixture(params=[AsyncClient, Client], ids=lambda kind: kind.__name__)
def client(
    request: pytest.FixtureRequest,
    server: ForeignServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A client of either kind on urllib."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return request.param.on_desktop(store=MemoryStore(), base_url=server.url)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(b"a" * SIZE)
    return path


async def post(client: Any, **options: Any) -> Any:
    """Make one request that needs no session, with either kind of client."""
    response = client.post("/upload", auth=False, **options)
    return await response if inspect.isawaitable(response) else response


async def test_a_file_is_sent_with_its_length(
    client: Any, server: ForeignServer, big: Path
) -> None:
    assert (await post(client, content=big)).status_code == 200
    ((_, headers, body),) = server.seen
    assert (headers["content-length"], len(body)) == (str(SIZE), SIZE)
    assert "transfer-encoding" not in headers


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"a=1", None), (BytesIO(b"a=1"), None), ("a=1", "text/plain; charset=utf-8")],
    ids=["bytes", "file", "text"],
)
async def test_content_is_not_called_a_form(
    client: Any, server: ForeignServer, content: Any, expected: str | None
) -> None:
    """It has the type that the caller gives, else what a page would send; urllib says a form."""
    await post(client, content=content)
    await post(client, content=content, headers={"Content-Type": "text/csv"})
    types = [headers.get("content-type") for _, headers, _ in server.seen]
    assert types == [expected, "text/csv"]


def test_a_large_file_is_never_in_memory(server: ForeignServer, big: Path) -> None:
    """The client has one piece of it at a time."""
    client = Client.on_desktop(store=MemoryStore(), base_url=server.url)
    server.behaviours["/upload"] = token_expired
    client.post("/upload", auth=False, content=b"")  # What is imported and opened only once.
    tracemalloc.start()
    pieces: list[int] = []
    client.post(
        "/upload",
        auth=False,
        files={"f": big},
        upload_progress=lambda *_: pieces.append(memory_of_the_library()),
    )
    tracemalloc.stop()
    assert max(pieces) < SIZE / 10


def memory_of_the_library() -> int:
    """Return the bytes that the library's own lines have allocated: the server is here as well."""
    own = tracemalloc.Filter(inclusive=True, filename_pattern="*/unexpired/*")
    traces = tracemalloc.take_snapshot().filter_traces([own]).statistics("filename")
    return sum(one.size for one in traces)


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "form"])
async def test_progress_goes_from_nothing_to_all(client: Any, big: Path, kind: str) -> None:
    """In the thread that called, where a program may show it."""
    content = {"bytes": b"a" * SIZE, "path": big, "file": BytesIO(b"a" * SIZE), "form": big}[kind]
    progress: list[tuple[int, int | None]] = []
    threads: set[int] = set()

    def report(so_far: int, total: int | None) -> None:
        progress.append((so_far, total))
        threads.add(threading.get_ident())

    options = {"files": {"f": content}} if kind == "form" else {"content": content}
    await post(client, upload_progress=report, **options)
    total = progress[0][1]
    assert total is not None
    assert total >= SIZE
    assert (progress[0], progress[-1]) == ((0, total), (total, total))
    assert progress == sorted(progress)
    assert len(progress) > SIZE // 65_536
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("error", [LookupError("enough"), OSError("enough")], ids=repr)
async def test_an_exception_in_the_function_is_the_callers(client: Any, error: Exception) -> None:
    """Also one that urllib would take for a failure of the network."""

    def refuse(*_: object) -> None:
        raise error

    with pytest.raises(type(error), match="enough"):
        await post(client, content=b"a", upload_progress=refuse)


async def test_a_cancelled_upload_reports_nothing_more_and_ends(
    server: ForeignServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread does not go on sending."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    client = AsyncClient.on_desktop(store=MemoryStore(), base_url=server.url)
    progress: list[int] = []
    tasks: list[asyncio.Task[Any]] = []

    def report(so_far: int, _: int | None) -> None:
        progress.append(so_far)
        tasks[0].cancel()

    upload = client.post("/upload", auth=False, content=b"a" * SIZE, upload_progress=report)
    tasks.append(asyncio.ensure_future(upload))
    await asyncio.wait(tasks)
    await client.get("/next", auth=False)  # By then the thread would have reported more.
    assert tasks[0].cancelled()
    assert progress == [0]
    assert all(len(body) < SIZE for *_, body in server.seen)


async def test_a_file_that_is_shortened_is_no_failure_of_the_network(
    client: Any, big: Path
) -> None:
    def shorten(*_: object) -> None:
        with big.open("r+b") as file:
            file.truncate(1)

    with pytest.raises(ValueError, match="shorter"):
        await post(client, content=big, upload_progress=shorten)


def test_a_response_that_comes_before_all_is_sent_is_read() -> None:
    """The server refuses the upload by its head, and hangs up."""
    has_hung_up = threading.Event()

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        has_hung_up.set()

    def wait(so_far: int, _: int | None) -> None:
        if so_far:
            has_hung_up.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=refuse, args=(listening,), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = Client.on_desktop(store=MemoryStore(), base_url=url)
        content = b"a" * SIZE
        response = client.post("/upload", auth=False, content=content, upload_progress=wait)
    assert (response.status_code, response.text) == (413, "no")


async def test_a_path_that_does_not_exist_sends_nothing(
    client: Any, server: ForeignServer, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await post(client, content=tmp_path / "none")
    assert server.seen == []


# -- Uploads that are sent again ---------------------------------------------------------------


def tokens(handler: BaseHTTPRequestHandler) -> None:
    """Respond with tokens."""
    fields = {"accessToken": make_token(time.time()), "refreshToken": "rt1.1", "expiresIn": 900}
    text_response(json.dumps(fields))(handler)


@pytest.fixture
def expiring(server: ForeignServer) -> ForeignServer:
    """The server, which takes the second upload only: the token of the first has expired."""
    responses = [token_expired, text_response("taken")]

    def respond(handler: BaseHTTPRequestHandler) -> None:
        responses.pop(0)(handler)

    server.behaviours = {
        "/upload": respond,
        "/api/login": tokens,
        "/api/refresh": tokens,
    }
    return server


async def upload(client: Any, **options: Any) -> Any:
    """Sign in, and make one request within the session, with either kind of client."""
    signing_in = client.sign_in("ada", "pw")
    if inspect.isawaitable(signing_in):
        await signing_in
    response = client.post("/upload", **options)
    return await response if inspect.isawaitable(response) else response


@pytest.mark.parametrize("kind", ["path", "file", "form"])
async def test_a_file_is_sent_again_from_where_it_stood(
    client: Any, expiring: ForeignServer, big: Path, kind: str
) -> None:
    """And its progress starts at 0 again."""
    file = BytesIO(b"head" + b"a" * SIZE)
    file.seek(4)
    options: dict[str, Any] = {
        "path": {"content": big},
        "file": {"content": file},
        "form": {"files": {"f": file}},
    }
    progress: list[int] = []
    response = await upload(
        client, upload_progress=lambda so_far, _: progress.append(so_far), **options[kind]
    )
    assert response.text == "taken"
    first, second = (body for call, _, body in expiring.seen if call == "POST /upload")
    assert first == second
    assert second.count(b"a" * SIZE) == 1
    assert progress.count(0) == 2


async def test_a_pipe_cannot_be_sent_again(client: Any, expiring: ForeignServer) -> None:
    """It can be read once."""
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as writing:
        writing.write(b"abc")
    with os.fdopen(ours, "rb") as reading, pytest.raises(ReplayImpossible):
        await upload(client, content=reading)
    assert expiring.seen[1][2] == b"abc"
