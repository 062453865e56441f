"""Proofs that a page makes, by a key that it cannot read, are good to others."""

import httpx
import pytest
from playwright.sync_api import Page, Request

from tests.e2e.browser_library import Library
from tests.judges.asking import Judges
from tests.judges.seen import Seen
from tests.support.server_process import ServerProcess


@pytest.fixture
def settings() -> dict[str, float | str]:
    """Our server, which asks for a proof at every call, and has public keys."""
    return {"dpop": "all", "algorithm": "ES256"}


def test_the_proofs_of_a_page_are_good_to_jose_and_oauth4webapi(
    page: Page, backend: ServerProcess
) -> None:
    library = Library(page)
    requests: list[Request] = []
    page.on("requestfinished", lambda request: requests.append(request))  # noqa: PLW0108 - Playwright sets attributes
    library.reset()
    library.sign_in()
    library.run("await client.refresh()\nawait client.get('/api/me?some=query')\nNone")
    seen = Seen([(one.method, one.url, one.all_headers()) for one in requests])
    jwks = httpx.get(f"{backend.url}/.well-known/jwks.json").json()
    judges = Judges()
    try:
        seen.judge(judges, jwks)
    finally:
        judges.stop()
    assert [path for path in seen.paths if path != "/healthz"] == [
        "/api/login",
        "/api/refresh",
        "/api/me",
    ]
