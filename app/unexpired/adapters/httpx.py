"""httpx and httpx2: ``auth=client.httpx_auth()`` adds the token, refreshes and retries.

Each library accepts only its own classes, so ours inherit from those of both where both are
installed. What they return or raise belongs to the library that made the request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing, closing
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from unexpired.content import check_has_body
from unexpired.effects import AsyncExchange, Exchange
from unexpired.errors import Unreachable, missing_extra
from unexpired.messages import Body, Headers, Request, Response
from unexpired.ports import Transport, open_stream
from unexpired.streams import AsyncResponseStream
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Auth(httpx.Auth, httpx2.Auth):
        def auth_flow(self, request: Any) -> Generator[Any, Any, None]: ...
        def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]: ...
        def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]: ...

    class _AsyncTransport(httpx.AsyncBaseTransport, httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: Any) -> Any: ...

    class _AsyncByteStream(httpx.AsyncByteStream, httpx2.AsyncByteStream):
        pass


def _installed() -> list[ModuleType]:
    """Return httpx and httpx2, as far as they are installed; once, if one is an alias.

    Raises:
        ModuleNotFoundError: If neither is installed.
    """
    found, missing = dict[ModuleType, None](), ModuleNotFoundError(name="httpx")
    for name in ("httpx", "httpx2"):
        try:
            found[import_module(name)] = None
        except ModuleNotFoundError as error:
            missing = error
    if not found:
        raise missing_extra(missing, "httpx_auth or httpx_transport", "httpx", "httpx2")
    return [*found]


LIBRARIES = _installed()
if not TYPE_CHECKING:
    _Auth = type("_Auth", tuple(one.Auth for one in LIBRARIES), {})
    _AsyncTransport = type(
        "_AsyncTransport", tuple(one.AsyncBaseTransport for one in LIBRARIES), {}
    )
    _AsyncByteStream = type("_AsyncByteStream", tuple(one.AsyncByteStream for one in LIBRARIES), {})

AUTH_FAILURES = {401, 403}

# Headers that httpx sets for a connection of its own. In a page the browser sets them, and some of
# ours would need another origin's permission (Fetch Standard, CORS-safelisted request header).
CONNECTION_HEADERS = {"accept-encoding", "connection", "content-length", "host", "user-agent"}


class _WrongClientAuth(_Auth):
    """Refuses the other kind of httpx client, whose requests would be sent without a token."""

    def auth_flow(self, request: Any) -> Generator[Any, Any, None]:  # noqa: ARG002
        """Refuse.

        Raises:
            TypeError: Always.
        """
        raise TypeError("httpx.Client needs a Client, httpx.AsyncClient an AsyncClient")


class SessionAuth(_WrongClientAuth):
    """Makes the requests of an ``httpx.Client`` within a session.

    Args:
        exchange: Makes a request within the session: ``Client.exchange``.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Yield the request, with a token, as often as it must be sent."""
        with closing(self._exchange(_request(request))) as steps:
            try:
                send = next(steps)
                while True:
                    response = yield _updated(send.request, request)
                    if response.status_code in AUTH_FAILURES:
                        response.read()
                    send = steps.send(_response(response))
            except StopIteration:
                return


class AsyncSessionAuth(_WrongClientAuth):
    """Makes the requests of an ``httpx.AsyncClient`` within a session.

    Args:
        exchange: Makes a request within the session: ``AsyncClient.exchange``.
    """

    def __init__(self, exchange: AsyncExchange) -> None:
        self._exchange = exchange

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Yield the request, with a token, as often as it must be sent."""
        async with aclosing(self._exchange(_request(request))) as steps:
            try:
                send = await anext(steps)
                while True:
                    response = yield _updated(send.request, request)
                    if response.status_code in AUTH_FAILURES:
                        await response.aread()
                    send = await steps.asend(_response(response))
            except StopAsyncIteration:
                return


class FetchAdapterTransport(_AsyncTransport):
    """Sends the requests of an ``httpx.AsyncClient`` where httpx has no network, as in a page.

    Args:
        transport: Sends the requests; the read timeout of httpx limits the wait for the head, and
            for each piece of the body.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: Any) -> Any:
        """Send the request; see ``httpx.AsyncBaseTransport``."""
        library, seconds = _library_of(request), _read_timeout(request)
        await request.aread()
        try:
            async with timeout_after(seconds):
                stream = await open_stream(self._transport, _without_connection_headers(request))
        except TimeoutError as error:
            raise library.ReadTimeout(str(error), request=request) from error
        except Unreachable as error:
            raise library.ConnectError(str(error), request=request) from error
        headers = dict(stream.headers)
        body = _BodyForHttpx(stream, request)
        return library.Response(stream.status_code, headers=headers, stream=body)


class _BodyForHttpx(_AsyncByteStream):
    """A body that an ``httpx.AsyncClient`` reads as it arrives.

    Args:
        stream: The response.
        request: The request of httpx.
    """

    def __init__(self, stream: AsyncResponseStream, request: Any) -> None:
        self._stream = stream
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        library = _library_of(self._request)
        try:
            while piece := await self._read():
                yield piece
        except TimeoutError as error:
            raise library.ReadTimeout(str(error), request=self._request) from error
        except Unreachable as error:
            raise library.ReadError(str(error), request=self._request) from error

    async def _read(self) -> bytes:
        async with timeout_after(_read_timeout(self._request)):
            return await self._stream.body.read()

    async def aclose(self) -> None:
        """Close the connection."""
        self._stream.abandon()


def _read_timeout(theirs: Any) -> float | None:
    seconds: float | None = theirs.extensions.get("timeout", {}).get("read")
    return seconds


def _library_of(theirs: Any) -> Any:
    """Return the module that this request belongs to."""
    return next(one for one in LIBRARIES if isinstance(theirs, one.Request))


def _without_connection_headers(theirs: Any) -> Request:
    headers = {name: theirs.headers[name] for name in {*theirs.headers} - CONNECTION_HEADERS}
    content: bytes | None = theirs.content or None
    check_has_body(theirs.method, content)
    return Request(theirs.method, str(theirs.url), Headers(headers), content)


def _request(theirs: Any) -> Request:
    return Request(theirs.method, str(theirs.url), Headers(theirs.headers), _body(theirs))


def _body(theirs: Any) -> Body:
    """Return the body as bytes if it can be sent again, else as an iterable that cannot."""
    library, stream = _library_of(theirs), theirs.stream
    if isinstance(stream, library.SyncByteStream) and isinstance(stream, library.AsyncByteStream):
        content: bytes = (
            theirs.read()
        )  # httpx holds it; only a caller's own iterator has a single type.
        return content
    return iter(())


def _updated(request: Request, theirs: Any) -> Any:
    """Return the httpx request with the header fields that the policy has set."""
    for name, value in request.headers.items():
        if theirs.headers.get(name) != value:
            theirs.headers[name] = value
    return theirs


def _response(theirs: Any) -> Response:
    # Any other content may be a stream that the caller reads.
    content = theirs.content if theirs.status_code in AUTH_FAILURES else b""
    return Response(theirs.status_code, Headers(theirs.headers), content, str(theirs.url))
