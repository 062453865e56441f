"""What the library's tests share: a policy to feed."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.clock import START, FakeClock
from tests.support.fake_server import API, json_response, token_fields
from unexpired import AsyncClient, Client
from unexpired.effects import Send
from unexpired.messages import Headers, Request, Response
from unexpired.options import Options
from unexpired.policy import Policy
from unexpired.session import Session

NOW = START


def session_of(client: AsyncClient | Client) -> Session:
    """Return the session behind a client."""
    return client._manager.session  # noqa: SLF001 - the public API does not have it


ATTEMPT = "an-attempt-of-128-bits"


def new_session() -> Session:
    """Return a session without randomness."""
    return Session(jitter=lambda: 1.0, new_attempt=lambda: ATTEMPT)


@dataclass
class World:
    """A policy and its surroundings."""

    clock: FakeClock = field(default_factory=FakeClock)
    session: Session = field(default_factory=new_session)
    options: Options = field(default_factory=lambda: Options(base_url=API))

    @property
    def policy(self) -> Policy:
        return Policy(self.session, self.options, self.clock)

    def sign_in(self, name: str = "s", n: int = 1, *, life: float = 900, **fields: Any) -> None:
        """Sign in, by feeding the policy the server's response."""
        flow = self.policy.sign_in(name, "ada", "pw")
        next(flow)
        response = json_response(200, token_fields(n, now=self.clock.wall, life=life, **fields))
        with pytest.raises(StopIteration):
            flow.send(response)

    def sign_out(self) -> Generator[Send, Response, None]:
        """Sign out here; return the flow that tells the server."""
        self.session.sign_out("here")
        return self.policy.report_ends()

    def renew(self, response: Response) -> None:
        """Refresh the tokens, by feeding the policy the server's response."""
        flow = self.policy.renew()
        next(flow)
        try:
            flow.send(response)
        except StopIteration:
            return

    def get(self, url: str = f"{API}/api/notes", **headers: str) -> Request:
        return Request("GET", url, Headers(headers))

    def events(self) -> list[str]:
        return [name for name, _ in self.session.events]


@pytest.fixture
def world() -> World:
    return World()
