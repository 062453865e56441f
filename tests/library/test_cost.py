"""What a call costs in this library itself, counted so that no machine's load matters."""

from __future__ import annotations

import sys
from typing import Any

from tests.support.clock import FakeClock
from tests.support.fake_server import API, SyncFakeServer
from unexpired import Client, Request, Response

PLAIN = Response(200)
MOST = 240  # function calls


class Server(SyncFakeServer):
    """Responds to one path at once."""

    def send(self, request: Request, timeout: float | None) -> Response:
        """Send the request."""
        return PLAIN if request.url == f"{API}/plain" else super().send(request, timeout)


def test_a_plain_call_costs_few_function_calls() -> None:
    """A check of a transport by its protocol, say, costs as much as all of the rest."""
    clock = FakeClock()
    client = Client(Server(clock), clock=clock, base_url=API)
    client.sign_in("ada", "pw")
    client.get("/plain")
    counted = 0

    def count(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        client.get("/plain")
    finally:
        sys.setprofile(before)
    assert counted < MOST
