"""What this server offers to people without a session, so that a page shows only that."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from unexpired_server.http.models import ResponseModel
from unexpired_server.http.openapi import Operation
from unexpired_server.http.responses import json_response


class DemoOut(ResponseModel):
    """The user that everybody may sign in as, while the server is a demonstration."""

    username: str
    password: str


class FeaturesOut(ResponseModel):
    """Which calls exist: ``/api/signup``, ``/api/password``, and the two for a forgotten one.

    ``loginWith`` is the name of the provider that people may sign in with, where there is one.
    ``demo`` is there while the server is a demonstration.
    """

    sign_up: bool
    password_change: bool
    password_reset: bool
    login_with: str | None = None
    demo: DemoOut | None = None


OPERATIONS = (Operation("get", "/api/features", "What this server offers", FeaturesOut, ()),)


class FeaturesRoutes:
    """The route that says what this server offers.

    Args:
        features: What it offers.
    """

    def __init__(self, features: FeaturesOut) -> None:
        self._features = features

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/api/features", self.features)]

    async def features(self, _request: Request) -> Response:
        """Return what this server offers."""
        return json_response(self._features)
