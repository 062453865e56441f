"""What those who run the server ask it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.replies import reply


async def healthz(_request: Request) -> Response:
    """Whether the process answers at all; it does not ask the database."""
    return reply({"status": "ok"})


ROUTES = [Route("/healthz", healthz)]
