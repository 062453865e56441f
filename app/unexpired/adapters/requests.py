"""requests: ``auth=client.requests_auth()`` adds the token to its requests, refreshes, retries."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from unexpired.effects import Exchange, Send
from unexpired.errors import missing_extra
from unexpired.messages import Body, Headers, Request, Response

try:
    from requests import PreparedRequest
    from requests import Response as TheirResponse
    from requests.auth import AuthBase
except ModuleNotFoundError as _error:
    raise missing_extra(_error, "requests_auth", "requests") from _error

Steps = Generator[Send, Response, Response]

AUTH_FAILURES = {401, 403}


class SessionAuth(AuthBase):
    """Makes requests within a session.

    Network failures raise requests' own exceptions; session failures raise ours.

    Args:
        exchange: Makes a request within the session: ``Client.exchange``.
        trusts: Returns whether a URL may see the token.
    """

    def __init__(self, exchange: Exchange, trusts: Callable[[str], bool]) -> None:
        self._exchange = exchange
        self._trusts = trusts

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add a valid token, and a hook for the response."""
        steps = self._exchange(_request(r))
        _update(r, next(steps).request)
        r.register_hook("response", partial(self._on_response, steps))  # type: ignore[no-untyped-call]
        return r

    def _on_response(self, steps: Steps, response: TheirResponse, **options: Any) -> TheirResponse:
        """Send the request again as long as the policy asks for it.

        requests follows a redirect itself and calls this hook with the next response; the token
        does not follow to another origin.
        """
        if response.is_redirect:
            _drop_proof(response)
        while not response.is_redirect and self._trusts(response.request.url or ""):
            try:
                send = steps.send(_response(response))
            except StopIteration:
                break
            response = _send_again(response, send.request, options)
        return response


def _send_again(
    response: TheirResponse, request: Request, options: dict[str, Any]
) -> TheirResponse:
    _ = response.content  # Read to its end, so that the connection can be used again.
    response.close()
    prepared = response.request.copy()
    _update(prepared, request)
    _drop_proof(response)
    connection: Any = response.connection
    further: TheirResponse = connection.send(prepared, **options)
    further.history.append(response)
    further.request = prepared
    return further


def _drop_proof(response: TheirResponse) -> None:
    """Take the proof off a request whose headers requests copies for where it is redirected to.

    A proof is for one URL (RFC 9449, section 4.2), and of no use to another origin but to know the
    key by.
    """
    response.request.headers.pop("DPoP", None)


def _request(prepared: PreparedRequest) -> Request:
    method, url = prepared.method or "GET", prepared.url or ""
    return Request(method, url, Headers(_text(prepared.headers)), _body(prepared.body))


def _body(body: Any) -> Body:
    """Return the body as bytes if it can be sent again, else as an iterable that cannot."""
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else iter(())


def _text(headers: Any) -> dict[str, str]:
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in headers.items()
    }


def _update(prepared: PreparedRequest, request: Request) -> None:
    """Set the header fields that the policy has set."""
    known = Headers(_text(prepared.headers))
    for name, value in request.headers.items():
        if known.get(name) != value:
            prepared.headers[name] = value


def _response(theirs: TheirResponse) -> Response:
    # Any other content may be a stream that the caller reads.
    content = theirs.content if theirs.status_code in AUTH_FAILURES else b""
    return Response(theirs.status_code, Headers(theirs.headers), content, theirs.url)
