"""Bad requests of every kind, and everything that the OpenAPI document allows or forbids."""

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from tests.server import fuzz
from tests.server.harness import PASSWORD, TestServer
from tests.support.server_process import ServerProcess, StartProcess

RULED = {"/api/password", "/api/signup"}
"""The calls that take a new name or password."""


async def test_bad_requests_are_never_answered_with_a_server_error(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = await fuzz.run(node, 2000, seed=1)
    assert {400, 401, 403, 404, 405, 413, 415} <= statuses.keys()
    assert not [one for one in caplog.records if one.name == "unexpired.server"]


def test_every_response_is_as_the_document_describes_it(serve: StartProcess, store: str) -> None:
    """Requests that the document allows and forbids, with ada's token, one operation at a time."""
    unlimited = {
        "UNEXPIRED_LOGIN_LIMIT": "",
        "UNEXPIRED_REFRESH_LIMIT": "",
        "UNEXPIRED_SIGNUP": "on",
    }
    process: ServerProcess = serve("--database-url", store, **unlimited)
    schema = schemathesis.openapi.from_url(f"{process.url}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]
        token = process.sign_in("ada", PASSWORD)["accessToken"]
        for mode in GenerationMode:
            tried += try_out(operation.as_strategy(generation_mode=mode), token)
    assert tried > 100
    assert '"level": "error"' not in process.log


def needs_cookie(case: Any) -> bool:
    """Whether the request is for a server that sets cookies."""
    body = case.body if isinstance(case.body, dict) else {}
    return bool(body.get("cookie")) or (
        case.path == "/api/refresh" and body.get("refreshToken") is None
    )


def try_out(cases: Any, token: str) -> int:
    """Try some cases of one operation; return their number."""
    tried = 0

    @given(cases)
    @settings(max_examples=6, suppress_health_check=list(HealthCheck), deadline=None)
    def one_after_another(case: Any) -> None:
        nonlocal tried
        tried += 1
        # No schema can express that an Idempotency-Key of another text is refused, nor the rules
        # of names and passwords, nor that a server without cookies sets and reads none.
        is_refused = "Idempotency-Key" in case.headers or case.path in RULED or needs_cookie(case)
        spared = [positive_data_acceptance] if is_refused else []
        if case.query:  # Members that nobody knows are ignored; tests of pages try the known ones.
            spared.append(negative_data_rejection)
        headers = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(headers=headers, excluded_checks=spared)

    with suppress(Unsatisfiable):  # Some operations have no invalid input.
        one_after_another()
    return tried
