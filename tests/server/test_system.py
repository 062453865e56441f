"""Health, metrics, logs and the OpenAPI document."""

import json
import logging
import re
from typing import Any

import pytest
from starlette.routing import Route

from tests.server.harness import TestServer, bearer
from unexpired_server.ops.logs import cleaned, log_config

STORES = ("sqlite", "postgres")


async def numbers(node: TestServer) -> dict[str, float]:
    text = (await node.http.get("/metrics")).text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def use(node: TestServer) -> dict[str, Any]:
    """Do everything that is counted once."""
    await node.login(password="wrong")
    tokens = await node.sign_in()
    await node.refreshed(tokens["refreshToken"])
    await node.refresh("invalid")
    await node.me(tokens["accessToken"])
    await node.me("x")
    await node.http.get("/api/notes")
    await node.http.delete("/api/notes/77", headers=bearer(tokens["accessToken"]))
    return tokens


async def test_requests_are_counted_by_route_code_and_outcome(node: TestServer) -> None:
    await use(node)
    counted = await numbers(node)
    for name in (
        'unexpired_requests_total{method="GET",route="/api/me",status="200"}',
        'unexpired_requests_total{method="DELETE",route="/api/notes/{id}",status="404"}',
        'unexpired_verifications_total{code="INVALID_TOKEN"}',
        'unexpired_verifications_total{code="NO_TOKEN"}',
        'unexpired_refreshes_total{outcome="OK"}',
        'unexpired_refreshes_total{outcome="REFRESH_INVALID"}',
        'unexpired_sign_ins_total{outcome="OK"}',
        'unexpired_sign_ins_total{outcome="BAD_CREDENTIALS"}',
    ):
        assert counted[name] == 1
    assert counted['unexpired_verifications_total{code="OK"}'] == 2
    assert counted['unexpired_request_duration_seconds_count{route="/api/refresh"}'] == 2


async def test_no_label_and_no_log_line_contains_client_data(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = await use(node)
    access, refresh = tokens["accessToken"], tokens["refreshToken"]
    for path in (f"/api/notes/{access}", f"/{refresh}", f"/api/me?token={access}"):
        await node.raw(refresh.upper(), path, [(b"x-request-id", access.encode())])
        await node.raw("GET", path)
    written = (await node.http.get("/metrics")).text + caplog.text
    written += "".join(str(vars(record)) for record in caplog.records if record.name != "httpx")
    for secret in (access[-20:], refresh[-20:], "correct horse", refresh[-20:].upper()):
        assert secret not in written.replace("python-httpx", "")


async def test_every_request_has_an_id_which_may_come_from_a_proxy(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unexpired.access")
    ours = await node.http.get("/healthz")
    assert re.fullmatch(r"[0-9a-f]{16}", ours.headers["x-request-id"])
    theirs = await node.http.get("/healthz", headers={"X-Request-ID": "proxy-1234"})
    assert theirs.headers["x-request-id"] == "proxy-1234"
    for bad in ("a.b.c", "x" * 65, "short", "a b c d e f"):
        response = await node.http.get("/healthz", headers={"X-Request-ID": bad})
        assert response.headers["x-request-id"] != bad
    assert caplog.records[0].__dict__["route"] == "/healthz"


def formatted(message: str, **extra: object) -> dict[str, Any]:
    config = log_config(is_for_people=False)["formatters"]["structured"]
    formatter = config["()"](
        processors=config["processors"], foreign_pre_chain=config["foreign_pre_chain"]
    )
    record = logging.LogRecord("unexpired.access", logging.INFO, "", 0, message, None, None)
    vars(record).update(extra)
    line: dict[str, Any] = json.loads(formatter.format(record))
    return line


def test_a_log_line_is_json_with_details_and_without_tokens() -> None:
    token = "rt1." + "A" * 80
    line = formatted(f"GET {token}", status=200, note="eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl")
    assert line["event"] == "GET [token]"
    assert line["note"] == "[token]"
    assert (line["status"], line["level"], line["logger"]) == (200, "info", "unexpired.access")
    assert line["timestamp"].endswith("Z")
    assert cleaned(None, "", {"event": "server.app.example"})["event"]


async def test_the_server_is_ready_when_its_database_works(node: TestServer) -> None:
    response = await node.http.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_the_document_describes_every_route_of_the_api(node: TestServer) -> None:
    described = (await node.http.get("/openapi.json")).json()
    listed = {(path, method) for path, calls in described["paths"].items() for method in calls}
    unlisted = {"/metrics", "/openapi.json", "/login", "/", "/pyscript.toml"}
    unlisted |= {"/callback.html", "/callback.js"}
    served = {
        (route.path, method.lower())
        for route in node.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD" and route.path not in unlisted
    }
    assert listed == served
    schemas = described["components"]["schemas"]
    assert schemas["Credentials"]["required"] == ["username", "password"]
    codes = described["paths"]["/api/refresh"]["post"]["responses"]["401"]["description"]
    assert "REFRESH_REUSED" in codes
