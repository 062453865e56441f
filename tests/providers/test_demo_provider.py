"""The provider beside the demo page: ``make run-oidc``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.browsers import Browser
from tests.support import plain_http
from tests.support.oidc_provider import node, sign_in, skip_with_old_node
from tests.support.paths import ROOT
from tests.support.raw_client import RawClient
from unexpired_server import Settings, create_app

PAGE = "http://127.0.0.1:9"
PROGRAM = ROOT / "tools" / "demo_provider.mjs"
UNTIL_STDIN_ENDS = "import sys; sys.stdin.read(); sys.exit(7)"
SETTINGS = """
import json, os
print(json.dumps({name.removeprefix("UNEXPIRED_").lower(): value
    for name, value in os.environ.items() if name.startswith("UNEXPIRED_")}), flush=True)
"""
STOP_SECONDS = 30


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(  # noqa: S603 - our own program
        [node(), str(PROGRAM), "0", PAGE, sys.executable, "-c", SETTINGS + UNTIL_STDIN_ENDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield child
    child.communicate(timeout=STOP_SECONDS)


def test_the_page_is_a_client_of_it_and_it_ends_with_the_command(
    demo: subprocess.Popen[str],
) -> None:
    assert demo.stdout is not None
    announced = demo.stdout.readline()
    skip_with_old_node(announced)
    assert "unexpired-demo" in announced
    issuer = announced.split()[0]
    metadata = plain_http.get(f"{issuer}/.well-known/openid-configuration").json()
    client = RawClient(metadata, "unexpired-demo", f"{PAGE}/")
    tokens = client.redeem(sign_in(client.authorization_url(), "demo")).json()
    assert tokens["expires_in"] == 20
    assert client.refresh(tokens["refresh_token"]).status_code == 200
    demo.communicate(timeout=STOP_SECONDS)
    assert demo.returncode == 7


async def test_people_sign_in_there_at_the_server_beside_it(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    """The server has all that it needs for that from the environment."""
    assert demo.stdout is not None
    skip_with_old_node(demo.stdout.readline())
    given = json.loads(demo.stdout.readline())
    database = f"sqlite+aiosqlite:///{tmp_path}/test.sqlite3"
    settings = Settings(**given, database_url=database, keys_file=tmp_path / "keys.json")
    app = create_app(settings, now=time.time)
    async with app.router.lifespan_context(app):
        browser = Browser(app, PAGE)
        offered = (await browser.http.get("/api/features")).json()
        assert offered["loginWith"] == "oidc-provider"
        answer = await asyncio.to_thread(sign_in, await browser.leave(), "demo")
        signed_in = (await browser.redeem(await browser.come_back(answer))).json()
    assert signed_in["user"]["username"] == "demo"
    assert signed_in["user"]["loginWith"] == "oidc-provider"
