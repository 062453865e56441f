"""requests: ``requests.get(url, auth=client.requests_auth())`` is attached, renewed and retried."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest
from requests import Response as TheirResponse
from requests.auth import AuthBase

from unexpired.messages import Body, Headers, Request, Response
from unexpired.policy import Send

if TYPE_CHECKING:
    from unexpired.sync_client import Client

Steps = Generator[Send, Response, Response]


class SessionAuth(AuthBase):
    """Puts the requests that it is given to within a client's session.

    What the network does is told in requests' own errors, what becomes of the session in ours.

    Args:
        client: whose session.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Attach a token that is worth sending, and hear of the answer."""
        steps = self._client.exchange(_request(r))
        _apply(next(steps).request, r)
        r.register_hook("response", partial(self._answered, steps))  # type: ignore[no-untyped-call]
        return r

    def _answered(self, steps: Steps, reply: TheirResponse, **options: Any) -> TheirResponse:
        """Send the request again for as long as the policy asks for it.

        Of a redirect, requests asks again, with what it leads to; elsewhere no token follows.
        """
        trusts = self._client._manager.options.trusts
        while not reply.is_redirect and trusts(reply.request.url or ""):
            try:
                send = steps.send(_response(reply))
            except StopIteration:
                break
            reply = _again(reply, send.request, options)
        return reply


def _again(reply: TheirResponse, request: Request, options: dict[str, Any]) -> TheirResponse:
    _ = reply.content  # Read to its end, so that the connection can be used again.
    reply.close()
    prepared = reply.request.copy()
    _apply(request, prepared)
    connection: Any = reply.connection
    further: TheirResponse = connection.send(prepared, **options)
    further.history.append(reply)
    further.request = prepared
    return further


def _request(prepared: PreparedRequest) -> Request:
    method, url = prepared.method or "GET", prepared.url or ""
    return Request(method, url, Headers(_text(prepared.headers)), _body(prepared.body))


def _body(body: Any) -> Body:
    """Return a body that can be sent again as bytes, and any other as one that cannot."""
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else iter(())


def _text(headers: Any) -> dict[str, str]:
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in headers.items()
    }


def _apply(request: Request, prepared: PreparedRequest) -> None:
    """Take over the header fields that the policy has set."""
    known = Headers(_text(prepared.headers))
    for name, value in request.headers.items():
        if known.get(name) != value:
            prepared.headers[name] = value


def _response(reply: TheirResponse) -> Response:
    content = reply.content if reply.status_code in {401, 403} else b""  # Else it may be a stream.
    return Response(reply.status_code, Headers(reply.headers), content, reply.url)
