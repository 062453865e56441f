"""The judges, our server with bound sessions, and oidc-provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.real_servers import PEER, RealServer
from tests.judges.asking import Judges
from tests.support.server_process import ServerProcess


@pytest.fixture(scope="session")
def judges() -> Iterator[Judges]:
    """Return the judges: npm's jose, oauth4webapi and dpop."""
    judges = Judges()
    yield judges
    judges.stop()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Our server, which asks for a proof at every call, and has public keys."""
    folder = tmp_path_factory.mktemp("server")
    server = ServerProcess.with_users(
        folder, algorithm="ES256", dpop="all", refresh_limit="", sign_in_limit=""
    )
    yield server
    server.stop()


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[RealServer]:
    """Return npm's oidc-provider, which asks for a nonce at its token endpoint and its API."""
    server = RealServer(PEER["oidc_provider"])
    yield server
    server.stop()
