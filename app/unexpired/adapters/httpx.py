"""httpx: what ``auth=client.httpx_auth()`` is given to is attached, renewed and retried."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

import httpx

from unexpired.errors import Unreachable
from unexpired.messages import Body, Headers, Request, Response
from unexpired.timers import timeout_after

if TYPE_CHECKING:
    from unexpired.async_client import AsyncClient
    from unexpired.ports import Transport
    from unexpired.sync_client import Client

REFUSALS = {401, 403}
# What httpx says of a connection that is not its own here. A browser knows better, and would ask
# another origin's leave for some of it (Fetch Standard, CORS-safelisted request header).
OF_THE_CONNECTION = {"accept-encoding", "connection", "content-length", "host", "user-agent"}


class _WrongClientAuth(httpx.Auth):
    """Refuses to work in the other world, where its requests would go out without a token."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:  # noqa: ARG002
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("httpx.Client needs a Client, httpx.AsyncClient an AsyncClient")


class SessionAuth(_WrongClientAuth):
    """Puts the requests of an ``httpx.Client`` within a client's session.

    Args:
        client: whose session.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request, with a token, as often as it must be sent."""
        with closing(self._client.exchange(_request(request))) as steps:
            try:
                send = next(steps)
                while True:
                    reply = yield _applied(send.request, request)
                    if reply.status_code in REFUSALS:
                        reply.read()
                    send = steps.send(_response(reply))
            except StopIteration:
                return


class AsyncSessionAuth(_WrongClientAuth):
    """Puts the requests of an ``httpx.AsyncClient`` within a client's session.

    Args:
        client: whose session.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Yield the request, with a token, as often as it must be sent."""
        async with aclosing(self._client.exchange(_request(request))) as steps:
            try:
                send = await anext(steps)
                while True:
                    reply = yield _applied(send.request, request)
                    if reply.status_code in REFUSALS:
                        await reply.aread()
                    send = await steps.asend(_response(reply))
            except StopAsyncIteration:
                return


class FetchAdapterTransport(httpx.AsyncBaseTransport):
    """Sends the requests of an ``httpx.AsyncClient`` where httpx has no network, as in a page.

    Args:
        transport: how to send them; the read timeout of httpx bounds the whole.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; see ``httpx.AsyncBaseTransport``."""
        await request.aread()
        try:
            async with timeout_after(request.extensions.get("timeout", {}).get("read")):
                response = await self._transport.send(_bare(request))
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except Unreachable as error:
            raise httpx.ConnectError(str(error), request=request) from error
        headers = dict(response.headers)
        return httpx.Response(response.status_code, headers=headers, content=response.content)


def _bare(theirs: httpx.Request) -> Request:
    headers = {name: theirs.headers[name] for name in {*theirs.headers} - OF_THE_CONNECTION}
    return Request(theirs.method, str(theirs.url), Headers(headers), theirs.content or None)


def _request(theirs: httpx.Request) -> Request:
    return Request(theirs.method, str(theirs.url), Headers(theirs.headers), _body(theirs))


def _body(theirs: httpx.Request) -> Body:
    """Return a body that can be sent again as bytes, and any other as one that cannot."""
    stream = theirs.stream
    if isinstance(stream, httpx.SyncByteStream) and isinstance(stream, httpx.AsyncByteStream):
        return theirs.read()  # A form, held by httpx: only a caller's iterator is of one world.
    return iter(())


def _applied(request: Request, theirs: httpx.Request) -> httpx.Request:
    """Take over the header fields that the policy has set."""
    for name, value in request.headers.items():
        if theirs.headers.get(name) != value:
            theirs.headers[name] = value
    return theirs


def _response(reply: httpx.Response) -> Response:
    content = reply.content if reply.status_code in REFUSALS else b""  # Else it may be a stream.
    return Response(reply.status_code, Headers(reply.headers), content, str(reply.url))
