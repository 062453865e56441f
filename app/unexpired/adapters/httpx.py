"""httpx: ``auth=client.httpx_auth()`` adds the token to its requests, refreshes and retries."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing

import httpx

from unexpired.errors import Unreachable
from unexpired.messages import Body, Headers, Request, Response
from unexpired.policy import AsyncExchange, Exchange
from unexpired.ports import Transport
from unexpired.timers import timeout_after

AUTH_FAILURES = {401, 403}

# Headers that httpx sets for a connection of its own. In a page the browser sets them, and some of
# ours would need another origin's permission (Fetch Standard, CORS-safelisted request header).
CONNECTION_HEADERS = {"accept-encoding", "connection", "content-length", "host", "user-agent"}


class _WrongClientAuth(httpx.Auth):
    """Refuses the other kind of httpx client, whose requests would be sent without a token."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:  # noqa: ARG002
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

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
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

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
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


class FetchAdapterTransport(httpx.AsyncBaseTransport):
    """Sends the requests of an ``httpx.AsyncClient`` where httpx has no network, as in a page.

    Args:
        transport: Sends the requests; the read timeout of httpx limits the whole exchange.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; see ``httpx.AsyncBaseTransport``."""
        await request.aread()
        try:
            async with timeout_after(request.extensions.get("timeout", {}).get("read")):
                response = await self._transport.send(_without_connection_headers(request))
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except Unreachable as error:
            raise httpx.ConnectError(str(error), request=request) from error
        headers = dict(response.headers)
        return httpx.Response(response.status_code, headers=headers, content=response.content)


def _without_connection_headers(theirs: httpx.Request) -> Request:
    headers = {name: theirs.headers[name] for name in {*theirs.headers} - CONNECTION_HEADERS}
    return Request(theirs.method, str(theirs.url), Headers(headers), theirs.content or None)


def _request(theirs: httpx.Request) -> Request:
    return Request(theirs.method, str(theirs.url), Headers(theirs.headers), _body(theirs))


def _body(theirs: httpx.Request) -> Body:
    """Return the body as bytes if it can be sent again, else as an iterable that cannot."""
    stream = theirs.stream
    if isinstance(stream, httpx.SyncByteStream) and isinstance(stream, httpx.AsyncByteStream):
        return theirs.read()  # httpx holds it; only a caller's own iterator has a single type.
    return iter(())


def _updated(request: Request, theirs: httpx.Request) -> httpx.Request:
    """Return the httpx request with the header fields that the policy has set."""
    for name, value in request.headers.items():
        if theirs.headers.get(name) != value:
            theirs.headers[name] = value
    return theirs


def _response(theirs: httpx.Response) -> Response:
    # Any other content may be a stream that the caller reads.
    content = theirs.content if theirs.status_code in AUTH_FAILURES else b""
    return Response(theirs.status_code, Headers(theirs.headers), content, str(theirs.url))
