"""The guides that move an application here: nobody is signed out, and old passwords sign in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

from tests.docs.guides import GUIDES
from tests.docs.hosts import Host, ServeGuide
from tests.docs.pages import snippets
from tests.support.one_user import PASSWORD, USER
from unexpired import AsyncClient
from unexpired.desktop.threads import ThreadedTransport
from unexpired.desktop.urllib import UrllibTransport


@dataclass(frozen=True)
class Old:
    """What a guide leads away from.

    Attributes:
        page: The guide.
        app: Its application that moves sessions.
        key: The name in the page's storage.
    """

    page: str
    app: str
    key: str


SIMPLEJWT = Old("how-to/from-simplejwt.md", "app", "tokens")
FLASK = Old("how-to/from-flask-jwt-extended.md", "accounts", "tokens")
FASTAPI_USERS = Old("how-to/from-fastapi-users.md", "app", "token")


async def moved(old: Old, host: Host, stored: str) -> AsyncClient:
    """Run the guide's ``adopt_stored`` with what the page's storage held; return the client."""
    page = next(guide.path for guide in GUIDES if guide.page == old.page)
    code = next(one for one in snippets(page, "python") if one.caption == "stored.py")
    names: dict[str, Any] = {}
    exec(code.text, names)  # noqa: S102 - That is the test.
    storage = {old.key: stored}
    client = AsyncClient(ThreadedTransport(UrllibTransport()), base_url=host.url)
    fake = SimpleNamespace(getItem=storage.get, removeItem=lambda key: storage.pop(key, None))
    await names["adopt_stored"](client, fake)
    assert storage == {}
    return client


async def test_simplejwts_tokens_are_accepted_and_moved(serve_guide: ServeGuide) -> None:
    """Views accept both; an old refresh token becomes a session, once."""
    host = serve_guide(SIMPLEJWT.page)
    body = {"username": USER, "password": PASSWORD}
    old = host.request("POST", "/api/token/", json=body).json()
    for token in (old["access"], host.sign_in()):
        assert host.get("/me", token=token).json() == {"username": USER}
    damaged = host.get("/me", token=f"{host.sign_in()[:-6]}AAAAAA")
    assert (damaged.status_code, damaged.json()["code"]) == (403, "INVALID_TOKEN")
    client = await moved(SIMPLEJWT, host, json.dumps(old))
    assert (await client.get("/me")).json() == {"username": USER}
    again = await moved(SIMPLEJWT, host, json.dumps(old))
    assert again.state == "anonymous"


async def test_flask_jwt_extendeds_tokens_are_accepted_and_moved(
    serve_guide: ServeGuide,
) -> None:
    """The accounts' application takes an old refresh token; Flask accepts an old access token."""
    shop = serve_guide(FLASK.page)
    old = _flask_tokens()
    assert shop.get("/me", token=old["access_token"]).json() == {"user": "1"}
    assert shop.get("/me", token=shop.sign_in()).status_code == 200
    host = serve_guide(FLASK.page, FLASK.app)
    client = await moved(FLASK, host, json.dumps(old))
    assert (await client.get("/api/me")).json()["username"] == USER
    assert (await moved(FLASK, host, json.dumps({"refresh_token": "none"}))).state == "anonymous"


def _flask_tokens() -> Mapping[str, str]:
    app = Flask("before")
    app.config["JWT_SECRET_KEY"] = "the one that you have, of 32 bytes or more"
    JWTManager(app)
    with app.app_context():
        return {
            "access_token": create_access_token("1"),
            "refresh_token": create_refresh_token("1"),
        }


async def test_fastapi_users_tokens_are_accepted_and_moved(serve_guide: ServeGuide) -> None:
    """Routes accept both; an old token becomes a session, and a damaged one does not."""
    host = serve_guide(FASTAPI_USERS.page)
    form = {"username": "ada@example.com", "password": PASSWORD}
    old = host.request("POST", "/auth/jwt/login", data=form).json()["access_token"]
    known = [host.get("/me", token=token).json() for token in (old, host.sign_in())]
    assert known[0]["id"]
    assert known[0] == known[1]
    client = await moved(FASTAPI_USERS, host, old)
    assert (await client.get("/me")).json() == known[0]
    assert (await moved(FASTAPI_USERS, host, f"{old}x")).state == "anonymous"


@pytest.mark.parametrize("old", [SIMPLEJWT, FLASK, FASTAPI_USERS], ids=lambda old: old.page)
def test_a_wrong_password_is_refused(old: Old, serve_guide: ServeGuide) -> None:
    """As by any application of ours; an unknown name is, too."""
    host = serve_guide(old.page, old.app)
    assert host.guide is not None
    for username in (host.guide.username, "nobody"):
        body = {"username": username, "password": "not this one"}
        response = host.request("POST", "/api/login", json=body)
        assert (response.status_code, response.json()["code"]) == (401, "BAD_CREDENTIALS")
