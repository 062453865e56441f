"""The provider beside the demo page: ``make run-oidc``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.support.oidc_provider import node, sign_in, skip_with_old_node
from tests.support.paths import ROOT
from tests.support.raw_client import RawClient

PAGE = "http://127.0.0.1:9"
PROGRAM = ROOT / "tools" / "demo_provider.mjs"
UNTIL_STDIN_ENDS = "import sys; sys.stdin.read(); sys.exit(7)"
STOP_SECONDS = 30


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(  # noqa: S603 - our own program
        [node(), str(PROGRAM), "0", PAGE, sys.executable, "-c", UNTIL_STDIN_ENDS],
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
    metadata = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    client = RawClient(metadata, "unexpired-demo", f"{PAGE}/")
    tokens = client.redeem(sign_in(client.authorization_url(), "demo")).json()
    assert tokens["expires_in"] == 20
    assert client.refresh(tokens["refresh_token"]).status_code == 200
    demo.communicate(timeout=STOP_SECONDS)
    assert demo.returncode == 7
