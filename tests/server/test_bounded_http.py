"""Which bytes the server accepts as HTTP, and how many of them."""

import json
import socket
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from inspect import getsource, signature
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess
from unexpired_server.ops.bounded_http import HEADER_BYTES, BoundedHttpToolsProtocol
from unexpired_server.ops.server import Server

PIECE = 1000
TARGET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
LOGIN = json.dumps({"username": "demo", "password": "demo"})
POST = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all tests of this module, which must survive each of them."""
    found = ServerProcess(tmp_path_factory.mktemp("server"), "--demo").start()
    yield found
    found.stop()
    assert "Traceback" not in found.log


@pytest.fixture(autouse=True)
def _lives(process: ServerProcess) -> Iterator[None]:
    yield
    assert process.ask("GET", "/healthz", None)[0] == 200


def status_of(process: ServerProcess, *pieces: bytes) -> int:
    """Return the status of the response to some bytes, sent piece by piece."""
    address = urlsplit(process.url)
    where = (address.hostname, address.port)
    with socket.create_connection(where, timeout=20) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # The server may close early.
            for piece in pieces:
                connection.sendall(piece)
        try:
            return int(connection.recv(100).split()[1])
        except ConnectionResetError:
            return 400


@pytest.mark.parametrize(
    "head",
    [
        TARGET + b"X: a\x00b\r\n\r\n",
        TARGET + b"X : a\r\n\r\n",
        TARGET + b"X: a\r\n folded\r\n\r\n",
        TARGET + b"X: a\n\n",
        b"GET /healthz\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/3.7\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        POST + b"Content-Length: +2\r\n\r\n{}",
        CHUNKED + b"Content-Length: 2\r\n\r\n{}",
        CHUNKED + b"Transfer-Encoding: identity\r\n\r\n{}",
        CHUNKED + b"\r\n2;x\n{}\r\n0\r\n\r\n",
        CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_bytes_that_two_parsers_could_read_differently_are_refused(
    process: ServerProcess, head: bytes
) -> None:
    """RFC 9112, sections 2.2, 5, 6.3, 7.1 and 11.2: no request is smuggled past a proxy."""
    assert status_of(process, head) == 400


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * HEADER_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        TARGET + b"X: " + b"x" * HEADER_BYTES + b"\r\n\r\n",
        TARGET + b"x:\r\n" * (HEADER_BYTES // 4) + b"\r\n",
        TARGET + b"X: " + b"x" * 5_000_000,
        CHUNKED + b"\r\n2;" + b"x" * (HEADER_BYTES + 1) + b"\r\n{}\r\n0\r\n\r\n",
    ],
    ids=["target", "header", "headers", "endless", "chunk extension"],
)
@pytest.mark.parametrize("size", [PIECE, 10_000_000], ids=["in pieces", "at once"])
def test_a_header_section_that_is_too_large_is_refused(
    process: ServerProcess, head: bytes, size: int
) -> None:
    """The server buffers a bounded amount, in whatever pieces it arrives."""
    pieces = [head[at : at + size] for at in range(0, len(head), size)]
    assert status_of(process, *pieces) in {400, 413}


def test_a_large_header_section_within_the_limit_is_accepted(process: ServerProcess) -> None:
    head = TARGET + b"X: " + b"x" * (HEADER_BYTES - 100) + b"\r\n\r\n"
    assert status_of(process, head) == 200
    assert status_of(process, *(head[at : at + PIECE] for at in range(0, len(head), PIECE))) == 200


def test_a_header_that_is_not_ascii_reaches_the_application(process: ServerProcess) -> None:
    head = b"GET /api/me HTTP/1.1\r\nHost: x\r\nAuthorization: BearerAuthenticator \xff\r\n\r\n"
    assert status_of(process, head) == 403


def test_the_limit_applies_to_each_request_of_a_connection(process: ServerProcess) -> None:
    address = urlsplit(process.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=20)
    for _ in range(8):
        connection.request("GET", "/healthz", headers={"X": "x" * (HEADER_BYTES // 2)})
        assert _status(connection.getresponse()) == 200
    connection.close()


def test_an_upgrade_is_declined_and_the_request_answered(
    process: ServerProcess,
) -> None:
    """Some clients offer an upgrade in their first request (RFC 9110, section 7.8)."""
    address = urlsplit(process.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=20)
    headers = {"Connection": "Upgrade", "Upgrade": "h2c", "Content-Type": "application/json"}
    for _ in range(2):
        connection.request("POST", "/api/login", LOGIN, headers)
        assert _status(connection.getresponse()) == 200
    connection.close()


def _status(response: HTTPResponse) -> int:
    response.read()
    return response.status


OVERRIDDEN = {
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_url": ["self", "url"],
    "on_header": ["self", "name", "value"],
    "on_headers_complete": ["self"],
    "on_body": ["self", "body"],
    "on_message_complete": ["self"],
}
CONNECTION = {
    "connection_made": ["self", "transport"],
    "data_received": ["self", "data"],
    "on_response_complete": ["self"],
}
SERVER = {
    "startup": ["self", "sockets"],
    "on_tick": ["self", "counter"],
    "shutdown": ["self", "sockets"],
    "handle_exit": ["self", "sig", "frame"],
}
USED = {"parser", "cycle", "headers", "url", "transport", "connections", "config", "server_state"}


async def test_uvicorn_still_has_the_private_parts_that_are_overridden() -> None:
    """These are no public API: with a new minor version, read its changes, then move the pin."""
    for name, parameters in OVERRIDDEN.items():
        method = getattr(HttpToolsProtocol, name)
        assert list(signature(method).parameters) == parameters
        assert vars(BoundedHttpToolsProtocol)[name] is not method
    protocol = HttpToolsProtocol(Config(never), ServerState(), {})
    protocol.on_message_begin()
    assert {*USED, "app_state"} <= set(vars(protocol))
    for name in ("_unset_keepalive_if_required", "send_400_response"):
        assert callable(getattr(HttpToolsProtocol, name))
    assert list(signature(H11Protocol).parameters)[:3] == ["config", "server_state", "app_state"]
    assert "response_complete" in getsource(RequestResponseCycle)
    for name, parameters in CONNECTION.items():
        for base in (HttpToolsProtocol, H11Protocol):
            assert list(signature(getattr(base, name)).parameters) == parameters
    assert "response_complete" in getsource(h11_impl.RequestResponseCycle)
    for name, parameters in SERVER.items():
        assert list(signature(getattr(uvicorn.Server, name)).parameters) == parameters
        assert name in vars(Server)


def test_uvicorn_still_has_the_private_parts_that_the_server_uses() -> None:
    config = Config(never)
    server = uvicorn.Server(config)
    assert {"_captured_signals", "should_exit", "force_exit", "started"} <= set(vars(server))
    assert {"connections", "default_headers"} <= set(vars(server.server_state))
    assert config.encoded_headers == []
    assert STARTUP_FAILURE == 3
    assert "config.encoded_headers" in getsource(uvicorn.Server.on_tick)
    assert "self.config.timeout_graceful_shutdown" in getsource(uvicorn.Server.shutdown)


def test_uvicorn_is_pinned_to_the_minor_version_that_was_checked() -> None:
    project = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())["project"]
    (pin,) = (line for line in project["dependencies"] if line.startswith("uvicorn"))
    major, minor = uvicorn.__version__.split(".")[:2]
    assert pin == f"uvicorn>={major}.{minor},<{major}.{int(minor) + 1}"


async def never(_scope: object, _receive: object, _send: object) -> None:
    raise AssertionError("no request is sent")
