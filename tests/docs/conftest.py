"""Running applications for the tests of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.docs.guides import GUIDES, Framework
from tests.docs.hosts import Host, ServeGuide, serving_bare, serving_guide
from tests.support.one_user import add_user
from tests.support.server_process import ServerProcess

PAGE = "https://app.example"
"""Where the documentation's page is, if it is not on the API's origin."""


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the documentation's user, public keys, cookies, and a page."""
    folder = tmp_path_factory.mktemp("api")
    add_user(folder)
    backend = ServerProcess(
        folder,
        UNEXPIRED_ALGORITHM="EdDSA",
        UNEXPIRED_COOKIES="on",
        UNEXPIRED_CORS_ORIGINS=PAGE,
    ).start()
    yield backend.url
    backend.stop()


@pytest.fixture(scope="session")
def serve_guide(api: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeGuide]:
    """Serves the applications of guides, each once, until the last test."""
    hosts: dict[tuple[str, str], Host] = {}
    with ExitStack() as stack:

        def serve(page: str, app: str = "app") -> Host:
            if (page, app) not in hosts:
                (guide,) = (one for one in GUIDES if (one.page, one.app) == (page, app))
                folder = tmp_path_factory.mktemp("guide")
                hosts[page, app] = stack.enter_context(serving_guide(guide, folder, api))
            return hosts[page, app]

        yield serve


@pytest.fixture(scope="session")
def bare_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Framework, Host]]:
    """An application of each framework that has a user's own routes, and nothing of ours."""
    with ExitStack() as stack:
        yield {
            framework: stack.enter_context(
                serving_bare(framework, tmp_path_factory.mktemp(framework))
            )
            for framework in sorted({guide.framework for guide in GUIDES})
        }
