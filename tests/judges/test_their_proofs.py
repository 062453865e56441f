"""Our server takes the proofs of others: at sign-in, at refreshes, and at each call."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.judges.asking import Judges
from tests.support import plain_http
from tests.support.server_process import PASSWORDS, ServerProcess

ADA = {"username": "ada", "password": PASSWORDS["ada"]}


@pytest.mark.parametrize("by", ["jose", "dpop"])
def test_a_session_goes_on_by_the_proofs_of_others(
    judges: Judges, backend: ServerProcess, by: str
) -> None:
    def proof(method: str, path: str, **further: Any) -> str:
        asked = {"by": by, "method": method, "url": backend.url + path, **further}
        return str(judges.ask("prove", **asked)["proof"])

    def post(path: str, body: object, **further: Any) -> httpx.Response:
        headers = {"DPoP": proof("POST", path, **further)}
        return plain_http.post(backend.url + path, json=body, headers=headers)

    def call(token: str, nonce: str) -> httpx.Response:
        made = proof("GET", "/api/me", nonce=nonce, accessToken=token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": made}
        return plain_http.get(f"{backend.url}/api/me", headers=headers)

    tokens = post("/api/login", ADA).json()
    assert (tokens["bound"], tokens["tokenType"]) == (True, "DPoP")
    assert call(tokens["accessToken"], tokens["nonce"]).status_code == 200

    body = {"refreshToken": tokens["refreshToken"]}
    asked = post("/api/refresh", body)
    assert (asked.status_code, asked.json()["code"]) == (401, "USE_DPOP_NONCE")
    nonce = asked.headers["dpop-nonce"]
    refreshed = post("/api/refresh", body, nonce=nonce).json()
    assert call(refreshed["accessToken"], refreshed["nonce"]).json()["username"] == "ada"


def test_oauth4webapi_signs_in_calls_and_refreshes(judges: Judges, backend: ServerProcess) -> None:
    done = judges.ask("session", server=backend.url, **ADA)
    paths = ["/api/login", "/api/me", "/api/refresh", "/api/me"]
    assert done == {"log": [[path, 200] for path in paths], "tokenType": "dpop"}


def test_oauth4webapi_understands_that_it_needs_a_nonce(
    judges: Judges, backend: ServerProcess
) -> None:
    done = judges.ask("session", server=backend.url, forgetful=True, **ADA)
    again = [[path, status] for path in ("/api/me", "/api/refresh") for status in (401, 200)]
    assert done["log"] == [["/api/login", 200], *again, ["/api/me", 401], ["/api/me", 200]]
