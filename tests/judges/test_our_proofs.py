"""The proofs of our programs, made by ``cryptography``, are good to others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.judges.asking import Judges, Refused
from tests.judges.parties import json_of
from tests.judges.seen import Seen
from tests.support.server_process import PASSWORDS, ServerProcess
from unexpired import AsyncClient, Client, MemoryStore, Request, Response
from unexpired.desktop.keys import ProgramProver, SyncProgramProver
from unexpired.desktop.urllib import UrllibTransport

PATHS = ["/api/login", "/api/me", "/api/refresh", "/api/me"]


@dataclass
class Wire:
    """Sends through urllib, and keeps each request."""

    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def send(self, request: Request, timeout: float | None) -> Response:
        self.seen.append((request.method, request.url, dict(request.headers)))
        return UrllibTransport().send(request, timeout)


class AsyncWire(Wire):
    """The same for the client that awaits."""

    async def send(self, request: Request) -> Response:  # type: ignore[override] # The other twin.
        return await asyncio.to_thread(super().send, request, None)


@pytest.fixture(scope="module")
def jwks(backend: ServerProcess) -> dict[str, Any]:
    """The public keys of our server."""
    return json_of(f"{backend.url}/.well-known/jwks.json")


def test_a_programs_proofs_are_good_to_jose_and_oauth4webapi(
    judges: Judges, backend: ServerProcess, jwks: dict[str, Any]
) -> None:
    wire = Wire()
    client = Client(wire, store=MemoryStore(), prover=SyncProgramProver(), base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    client.get("/api/me?some=query")
    client.refresh()
    client.get("/api/me")
    seen = Seen(wire.seen)
    assert seen.paths == PATHS
    seen.judge(judges, jwks)


async def test_an_async_programs_proofs_are_good_to_jose_and_oauth4webapi(
    judges: Judges, backend: ServerProcess, jwks: dict[str, Any]
) -> None:
    wire = AsyncWire()
    client = AsyncClient(wire, store=MemoryStore(), prover=ProgramProver(), base_url=backend.url)
    await client.sign_in("ada", PASSWORDS["ada"])
    await client.get("/api/me?some=query")
    await client.refresh()
    await client.get("/api/me")
    seen = Seen(wire.seen)
    assert seen.paths == PATHS
    seen.judge(judges, jwks)


def test_the_judges_refuse_a_proof_of_ours_that_was_changed(
    judges: Judges, backend: ServerProcess, jwks: dict[str, Any]
) -> None:
    wire = Wire()
    client = Client(wire, store=MemoryStore(), prover=SyncProgramProver(), base_url=backend.url)
    client.sign_in("ada", PASSWORDS["ada"])
    client.get("/api/me")
    method, url, headers = wire.seen[-1]
    for changed in (
        (method, f"{backend.url}/api/notes", headers),
        ("POST", url, headers),
        (method, url, {**headers, "dpop": headers["dpop"][:-4] + "AAAA"}),
    ):
        with pytest.raises(Refused):
            Seen([changed]).judge(judges, jwks)
