"""Every guide's application is a guest of its host: a user's own routes keep working beside it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.docs.guides import FAILING, GUIDES, Framework, Guide
from tests.docs.hosts import Host, ServeGuide

each_guide = pytest.mark.parametrize(
    "guide", GUIDES, ids=[f"{guide.page}:{guide.app}" for guide in GUIDES]
)


@each_guide
def test_a_users_own_public_route_needs_no_token(guide: Guide, serve_guide: ServeGuide) -> None:
    """Nothing of ours is in front of it."""
    response = serve_guide(guide.page, guide.app).get("/own/public")
    assert (response.status_code, response.json()) == (200, {"this is": "public"})


@each_guide
def test_a_users_own_guarded_route_needs_a_user(guide: Guide, serve_guide: ServeGuide) -> None:
    """It is refused without a token and with a damaged one, and works for a signed-in user."""
    host = serve_guide(guide.page, guide.app)
    token = host.sign_in()
    assert host.get("/own/guarded").status_code == 401
    assert host.get("/own/guarded", token=f"{token[:-6]}AAAAAA").status_code in {401, 403}
    response = host.get("/own/guarded", token=token)
    assert (response.status_code, response.json()) == (200, {"this is": "guarded"})


@each_guide
@pytest.mark.parametrize(("method", "path"), FAILING)
def test_a_hosts_own_failures_keep_their_form(
    guide: Guide,
    method: str,
    path: str,
    serve_guide: ServeGuide,
    bare_hosts: dict[Framework, Host],
) -> None:
    """Unknown paths, exceptions and validation read as in an application without us."""
    ours = serve_guide(guide.page, guide.app).request(method, path)
    bare = bare_hosts[guide.framework].request(method, path)
    assert bare.status_code >= 400
    assert form(ours) == form(bare)


@pytest.mark.parametrize(
    ("page", "app"), sorted({one.page: one.app for one in GUIDES if one.for_pages}.items())
)
def test_python_for_pages_runs_against_the_guides_application(
    page: str, app: str, serve_guide: ServeGuide
) -> None:
    """What the guide has its reader write on both sides fits together."""
    serve_guide(page, app).run_client()


def test_a_sign_up_opens_a_session_and_a_second_step_is_asked_for(serve_guide: ServeGuide) -> None:
    """The tokens of the guide's own route are good, and no cache keeps them."""
    host = serve_guide("how-to/sign-up-and-second-step.md")
    hedy = {"username": "hedy", "password": "correct horse", "has_second_step": True}
    response = host.request("POST", "/sign-up", json=hedy)
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    me = host.get("/api/me", token=response.json()["accessToken"])
    assert me.json()["username"] == response.json()["user"]["username"] == "hedy"
    asked = host.request("POST", "/api/login", json=hedy)
    assert (asked.status_code, asked.json()["code"]) == (401, "SECOND_STEP_REQUIRED")
    assert asked.json()["methods"] == ["totp"]
    assert host.request("POST", "/sign-up", json=hedy).status_code == 409
    assert host.request("POST", "/api/login", json=hedy | {"otp": "123456"}).status_code == 200


def form(response: httpx.Response) -> tuple[int, str, Any]:
    """Return what makes a failure the host's: its status, its type, and its text."""
    kind = response.headers.get("content-type", "")
    if "json" in kind:
        return response.status_code, kind, response.json()
    return response.status_code, kind, title(response.text) if "html" in kind else response.text


def title(page: str) -> str:
    """Return the title of an HTML page."""
    parser = TitleParser()
    parser.feed(page)
    return parser.title


class TitleParser(HTMLParser):
    """Finds the title of a page."""

    title = ""
    is_within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - The base class's signature.
        self.is_within = tag == "title"

    def handle_data(self, data: str) -> None:
        self.title += data.strip() if self.is_within else ""
