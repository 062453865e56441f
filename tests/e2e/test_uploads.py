"""Uploads from a page: their progress, files of the person, and files of Python's own."""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from email.parser import BytesParser
from email.policy import HTTP
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.contract.foreign_servers import text_response, token_expired
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory
from tests.support.threaded_server import QuietHandler, ThreadedServer

SIZE = 3_000_000
POST = """
seen = []
async def post(**options):
    response = await client.post(url, upload_progress=lambda *at: seen.append(at), **options)
    return response.status_code, response.text, response.headers.get("x-kind"), response.url
"""

BOTH_WAYS = pytest.mark.parametrize(
    "progress", ["", ", upload_progress=lambda *at: seen.append(at)"], ids=["fetch", "xhr"]
)


class UploadServer(ThreadedServer):
    """The API's server behind one that takes uploads itself.

    Args:
        api: The address of the API's server.

    Attributes:
        seen: The headers and the body of each upload.
        expired: How many uploads are refused first, because their token has expired.
        gate: An upload gets its response when this is set.
    """

    def __init__(self, api: str) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.expired = 0
        self.gate = threading.Event()
        self._api = urlsplit(api)
        super().__init__(self._handler())

    def reset(self) -> None:
        """Forget what was sent."""
        self.seen, self.expired = [], 0
        self.gate.set()

    def received(self) -> list[tuple[str, bytes]]:
        """Return the content type and the body of each upload."""
        return [(headers.get("content-type", ""), body) for headers, body in self.seen]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(QuietHandler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                respond = server.take if self.path == "/upload" else server.pass_on
                with suppress(OSError):  # The page may have gone.
                    respond(self, body)

            do_GET = do_POST = do_HEAD = respond  # noqa: N815 - the base class names them

        return Handler

    def take(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Respond to an upload."""
        self.seen.append(({name.lower(): value for name, value in handler.headers.items()}, body))
        self.gate.wait(20)
        if self.expired:
            self.expired -= 1
            token_expired(handler)
        else:
            text_response("taken", 201, x_kind="mine")(handler)

    def pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Let the API's server respond."""
        with closing(HTTPConnection(self._api.hostname or "", self._api.port)) as connection:
            connection.request(handler.command, handler.path, body, dict(handler.headers.items()))
            response = connection.getresponse()
            content = response.read()
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture(scope="session")
def upload_server(serve: ServerFactory) -> Iterator[UploadServer]:
    """The server of the page."""
    with UploadServer(serve().url) as server:
        yield server


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, upload_server: UploadServer) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(upload_server.url).new_page())


@pytest.fixture
def server(upload_server: UploadServer) -> UploadServer:
    """The server, to which nothing was sent."""
    upload_server.reset()
    return upload_server


@pytest.fixture
def library(browser_library: Library, server: UploadServer) -> Library:  # noqa: ARG001
    """The library, signed in."""
    browser_library.reset()
    browser_library.sign_in()
    browser_library.run(f"url = '/upload'\nsize = {SIZE}\n{POST}\nNone")
    return browser_library


def assert_complete(progress: list[list[int]], total: int) -> None:
    """Assert that a progress starts at 0, never falls, and ends with all."""
    assert progress[0] == [0, total]
    assert progress[-1] == [total, total]
    assert progress == sorted(progress)


def test_an_upload_reports_its_progress_from_nothing_to_all(
    library: Library, server: UploadServer
) -> None:
    """The response is as from fetch: status, headers, body and URL."""
    response = library.run("await post(content=b'a' * size, headers={'x-kind': 'b'})")
    assert response == [201, "taken", "mine", f"{server.url}/upload"]
    assert_complete(library.run("seen"), SIZE)
    assert [len(body) for _, body in server.received()] == [SIZE]
    assert server.seen[0][0]["authorization"].startswith("Bearer ")


def test_a_repeated_upload_reports_its_progress_from_nothing_again(
    library: Library, server: UploadServer
) -> None:
    """The token had expired: the second attempt sends all of it."""
    server.expired = 1
    assert library.run("(await post(content=b'a' * size))[0]") == 201
    progress = library.run("seen")
    second = progress.index([0, SIZE], 1)
    assert_complete(progress[:second], SIZE)
    assert_complete(progress[second:], SIZE)
    assert len(server.received()) == 2


def test_an_exception_in_the_function_ends_the_upload(library: Library) -> None:
    """It is raised where the call is awaited."""
    source = """
def refuse(*_): raise LookupError("enough")
try: await client.post(url, content=b"a" * size, upload_progress=refuse)
except LookupError as error: found = str(error)
found
"""
    assert library.run(source) == "enough"


def test_an_upload_without_a_response_is_unreachable(library: Library) -> None:
    """As without a function to call."""
    library.page.route("**/gone", lambda route: route.abort())
    source = "await outcome(client.post('/gone', content=b'a', upload_progress=print))"
    assert library.run(source) == "Unreachable"


def test_a_cancelled_upload_is_aborted(library: Library, server: UploadServer) -> None:
    """Nobody waits for its response."""
    server.gate.clear()
    source = """
arrived = asyncio.Event()
task = asyncio.ensure_future(
    client.post(url, content=b"a", upload_progress=lambda so_far, total: so_far and arrived.set())
)
task.add_done_callback(lambda _: arrived.set())
await arrived.wait()
task.cancel()
await asyncio.wait({task})
task.cancelled()
"""
    assert library.run(source) is True
    server.gate.set()


def form_files(received: tuple[str, bytes]) -> list[tuple[str | None, str, Any]]:
    """Return the files of a form as a server reads them: name, type and content."""
    kind, body = received
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]


FILE = """
from pyodide.ffi import to_js
def new_file(text, name, kind):
    init = js.Object.fromEntries(to_js([["type", kind]]))
    return js.File.new(to_js([text]), name, init)
file = new_file("hello", "photo.png", "image/png")
"""


@BOTH_WAYS
def test_a_file_of_the_browsers_is_sent_as_it_is(
    library: Library, server: UploadServer, progress: str
) -> None:
    """With its type, and again if it must be repeated."""
    server.expired = 1
    library.run(f"{FILE}\nNone")
    assert library.run(f"await outcome(client.post(url, content=file{progress}))") == 201
    assert server.received() == [("image/png", b"hello")] * 2


@BOTH_WAYS
def test_a_form_takes_files_of_the_browsers_and_of_pythons(
    library: Library, server: UploadServer, progress: str
) -> None:
    """Each with its name and type."""
    library.run(f"{FILE}\nfrom pathlib import Path\nPath('notes.csv').write_bytes(b'a,b')\nNone")
    files = "[('f', file), ('f', Path('notes.csv')), ('g', ('x.bin', b'raw'))]"
    assert library.run(f"await outcome(client.post(url, files={files}{progress}))") == 201
    assert form_files(server.received()[0]) == [
        ("photo.png", "image/png", b"hello"),
        ("notes.csv", "text/csv", b"a,b"),
        ("x.bin", "application/octet-stream", b"raw"),
    ]


def test_a_path_is_sent_as_the_body(library: Library, server: UploadServer) -> None:
    """It is a file of the Python in the page."""
    library.run("from pathlib import Path\nPath('big').write_bytes(b'a' * size)\nNone")
    assert library.run("(await post(content=Path('big')))[0]") == 201
    assert [len(body) for _, body in server.received()] == [SIZE]
    assert_complete(library.run("seen"), SIZE)


BLOCKING = """
from pyodide.ffi import create_once_callable
from unexpired import Client
sync = Client.in_browser(session_of=client)
done = asyncio.Future()
def run(*_):
    try: done.set_result(sync.post(url, content=file, upload_progress=lambda *at: seen.append(at)))
    except Exception as error: done.set_exception(error)
js.setTimeout(create_once_callable(run), 0)
(await done).status_code
"""


def test_a_blocking_upload_reports_its_start_and_its_end(
    library: Library, server: UploadServer
) -> None:
    """The page stands still meanwhile."""
    library.run(f"{FILE}\nNone")
    assert library.run(BLOCKING) == 201
    assert library.run("seen") == [[0, 5], [5, 5]]
    assert server.received() == [("image/png", b"hello")]
