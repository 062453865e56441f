"""Pure ASGI middleware: headers on every reply, and the last net under every request."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.background import log_fault
from server.errors import BadRequest, ServerFault
from server.replies import failure

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

NO_PAGE = "default-src 'none'"


class SecurityHeaders:
    """Sets the security headers on every reply.

    Args:
        app: What replies.
        policy: The page's own Content-Security-Policy. It is in the page too, where static hosts
            serve it; what may frame the page can be said in a header only.
    """

    def __init__(self, app: ASGIApp, policy: str = NO_PAGE) -> None:
        self._app = app
        policy = f"{policy}; frame-ancestors 'none'"
        self._headers = {**SECURITY_HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the reply."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LastNet:
    """Answers 500 where we made a mistake, and logs where, without what the client sent.

    Starlette's own net is outside of every middleware, so its replies would lack their
    headers; and it lets the exception go on to a log that prints the exception's message.

    Args:
        app: What may fail.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and catch what falls."""
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception as exc:
            if scope["type"] != "http" or started:
                raise
            log_fault(exc)
            await failure(ServerFault())(scope, receive, send)


class Cors(CORSMiddleware):
    """Starlette's CORS, with refused preflights in our one error shape."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight; what is refused and why is in the browser's own message."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:  # noqa: PLR2004 - the first failing status
            return response
        refusal = failure(BadRequest("This origin, method or header may not be used here."))
        refusal.headers["Vary"] = response.headers["Vary"]
        return refusal
