"""Request bodies: every invalid one gets a JSON error, none a 500."""

import json

import pytest

from tests.server.harness import TestServer, bearer, call
from unexpired_server.http import bodies

JSON = (b"content-type", b"application/json")
BODIES = ["/api/login", "/api/refresh", "/api/logout"]
GOOD = json.dumps({"username": "ada", "password": "correct horse"}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"{", b"}", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b'{"a":"\xff"}',
        b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1,"a":2}',
        b'{"x":{"a":1,"a":2}}', b'{"username":"\\ud800","password":"x"}', b'{"\\udfff":1}',
        b"[" * 16_000, b'{"a":' * 3000, b'{"a":' + b"9" * 5000 + b"}", b"{}{}", b"{'a':1}",
        b"\xef\xbb\xbf{}", b'{"a":1,}', b'{"a":"\n"}', b"username=ada&password=x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", BODIES)
async def test_anything_but_one_strict_json_object_is_a_bad_request(
    node: TestServer, path: str, raw: bytes
) -> None:
    response = await node.raw("POST", path, [JSON], raw)
    assert (response.status, response.json["code"]) == (400, "BAD_REQUEST")
    assert response.json["error"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"username": "ada"}, {"password": "x"}, {"username": 1, "password": "x"},
        {"username": "ada", "password": None}, {"username": ["ada"], "password": "x"},
        {"username": "", "password": "x"}, {"username": "a" * 65, "password": "x"},
        {"username": "ada", "password": "p" * 1025}, {"username": "a\x00", "password": "x"},
        {"username": True, "password": "x"},
    ],
)  # fmt: skip
async def test_credentials_of_the_wrong_shape_are_a_bad_request_that_quotes_nothing(
    node: TestServer, body: dict[str, object]
) -> None:
    response = await node.http.post("/api/login", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")
    assert "ppp" not in response.text
    assert "aaa" not in response.text


async def test_unknown_members_are_ignored(node: TestServer) -> None:
    body = {"username": "ada", "password": "correct horse", "remember": [1, {"x": None}]}
    assert (await node.http.post("/api/login", json=body)).status_code == 200


@pytest.mark.parametrize(
    "types",
    [
        [], ["text/plain"], ["application/x-www-form-urlencoded"], ["multipart/form-data"],
        [""], ["application/jsonp"], ["application/json", "text/plain"], ["*/*"], ["\xff"],
    ],
)  # fmt: skip
async def test_a_body_without_the_json_media_type_is_unsupported(
    node: TestServer, types: list[str]
) -> None:
    headers = [(b"content-type", value.encode("latin-1")) for value in types]
    response = await node.raw("POST", "/api/login", headers, GOOD)
    assert (response.status, response.json["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "value", [b"application/json; charset=utf-8", b"Application/JSON", b"application/json ;x=y"]
)
async def test_the_media_type_may_have_parameters_and_any_case(
    node: TestServer, value: bytes
) -> None:
    assert (await node.raw("POST", "/api/login", [(b"content-type", value)], GOOD)).status == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_16_kb_is_refused_without_reading_the_rest(
    node: TestServer, *, announced: bool
) -> None:
    headers = [JSON, (b"content-length", b"1000000000")] if announced else [JSON]
    chunks = [b"x" * 4096] * 1000
    response = await call(node.app, "POST", "/api/login", headers, chunks)
    assert (response.status, response.json["code"]) == (413, "TOO_LARGE")
    assert response.headers["connection"] == "close"


async def test_a_body_of_exactly_16_kb_is_read(node: TestServer) -> None:
    padded = GOOD[:-1] + b', "pad": "%s"}'
    raw = padded % (b"x" * (16 * 1024 - len(padded) + 2))
    assert len(raw) == 16 * 1024
    assert (await node.raw("POST", "/api/login", [JSON], raw)).status == 200
    assert (await node.raw("POST", "/api/login", [JSON], raw + b" ")).status == 413


async def test_a_body_that_does_not_arrive_times_out(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bodies.MAXIMUM_SECONDS == 10
    monkeypatch.setattr(bodies, "MAXIMUM_SECONDS", 0.01)
    response = await call(node.app, "POST", "/api/login", [JSON], [GOOD[:5]], hang=True)
    assert (response.status, response.json["code"]) == (408, "REQUEST_TIMEOUT")
    assert response.headers["connection"] == "close"


async def test_a_client_that_hangs_up_causes_no_server_error(node: TestServer) -> None:
    response = await call(node.app, "POST", "/api/login", [JSON], [])
    assert response.status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api"), ("GET", "/api/"), ("GET", "/api/nothing"), ("GET", "/api/me/"),
        ("POST", "/api/login/"), ("GET", "/api/../etc/passwd"), ("GET", "/nothing"),
        ("DELETE", "/api/nothing/1"), ("GET", "//evil.example/api/me"), ("GET", "/api/\x00"),
    ],
)  # fmt: skip
async def test_an_unknown_address_is_not_found_in_json(
    node: TestServer, method: str, path: str
) -> None:
    response = await node.raw(method, path)
    assert (response.status, response.json["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/login", "POST"),
        ("DELETE", "/api/refresh", "POST"),
        ("PUT", "/api/logout", "POST"),
        ("POST", "/api/me", "GET, HEAD"),
        ("PATCH", "/api/notes", "GET, HEAD, POST"),
        ("GET", "/api/notes/1", "DELETE, PUT"),
        ("OPTIONS", "/api/sessions", "GET, HEAD"),
        ("BREW", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_gets_the_allowed_ones_in_json(
    node: TestServer, method: str, path: str, allow: str
) -> None:
    response = await node.raw(method, path)
    assert (response.status, response.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allow


async def test_an_unhandled_exception_is_a_json_500_and_the_log_holds_no_client_data(
    node: TestServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_raw: bytes) -> None:
        raise RuntimeError("correct horse")

    monkeypatch.setattr("unexpired_server.tokens.strict_json.read_object", fail)
    response = await node.raw("POST", "/api/login", [JSON], GOOD)
    assert (response.status, response.json["code"]) == (500, "SERVER_ERROR")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "RuntimeError" in caplog.text
    assert "correct horse" not in caplog.text.replace('RuntimeError("correct horse")', "")


async def test_a_protected_body_is_not_read_before_the_token_is_verified(node: TestServer) -> None:
    response = await call(node.app, "POST", "/api/notes", [JSON], [b"{"], hang=True)
    assert response.json["code"] == "NO_TOKEN"


async def test_no_response_of_the_api_may_be_cached(node: TestServer) -> None:
    tokens = await node.sign_in()
    for path in ("/api/me", "/api/notes", "/api/sessions", "/api/nothing"):
        response = await node.http.get(path, headers=bearer(tokens["accessToken"]))
        assert response.headers["cache-control"] == "no-store"
