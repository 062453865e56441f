"""Uploads from a page: their progress, files of the person, and files of Python's own."""

import threading
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.contract.foreign_servers import ForeignServer, text_response, token_expired
from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory

SIZE = 3_000_000
POST = """
seen = []
async def post(**options):
    response = await client.post(url, upload_progress=lambda *at: seen.append(at), **options)
    return response.status_code, response.text, response.headers.get("x-kind"), response.url
"""


class UploadServer(ForeignServer):
    """A server that takes uploads, to which the browser is led instead of the API's.

    Attributes:
        expired: How many uploads are refused first, because their token has expired.
    """

    expired: int = 0

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Respond to an upload."""
        if self.expired:
            self.expired -= 1
            token_expired(handler)
        else:
            text_response("taken", 201, x_kind="mine")(handler)

    def received(self) -> list[tuple[str, bytes]]:
        """Return the content type and the body of each upload."""
        return [(headers.get("content-type", ""), body) for _, headers, body in self.seen]


@pytest.fixture
def server() -> Iterator[UploadServer]:
    """A server of our own."""
    with UploadServer() as server:
        server.behaviours["/upload"] = server.take
        yield server


@pytest.fixture(scope="session")
def browser_library(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once; each test opens a new client."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def library(browser_library: Library, server: UploadServer) -> Library:
    """The library, signed in."""
    browser_library.reset()
    browser_library.page.route(
        "**/upload", lambda route: route.continue_(url=f"{server.url}/upload")
    )
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
    assert response == [
        201,
        "taken",
        "mine",
        library.page.url.partition("#")[0].replace("library.html", "upload"),
    ]
    assert_complete(library.run("seen"), SIZE)
    assert [len(body) for _, body in server.received()] == [SIZE]
    assert str(server.tokens[-1]).startswith("Bearer ")


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
    is_over = threading.Event()

    def wait(handler: BaseHTTPRequestHandler) -> None:
        is_over.wait(20)
        server.take(handler)

    server.behaviours["/upload"] = wait
    source = """
arrived = asyncio.Event()
task = asyncio.ensure_future(
    client.post(url, content=b"a", upload_progress=lambda so_far, total: so_far and arrived.set())
)
await arrived.wait()
task.cancel()
await asyncio.wait({task})
task.cancelled()
"""
    assert library.run(source) is True
    is_over.set()


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


@pytest.mark.parametrize("progress", ["", ", upload_progress=lambda *at: seen.append(at)"])
def test_a_file_of_the_browsers_is_sent_as_it_is(
    library: Library, server: UploadServer, progress: str
) -> None:
    """With its type, and again if it must be repeated."""
    server.expired = 1
    library.run(f"{FILE}\nNone")
    assert library.run(f"await outcome(client.post(url, content=file{progress}))") == 201
    assert server.received() == [("image/png", b"hello")] * 2


@pytest.mark.parametrize("progress", ["", ", upload_progress=lambda *at: seen.append(at)"])
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
