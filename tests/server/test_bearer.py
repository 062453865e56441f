"""The Authorization header: what counts as a token, and what is refused."""

import pytest

from tests.server.harness import StartServer, TestServer

CHALLENGE = 'Bearer realm="unexpired"'


@pytest.mark.parametrize(
    "value",
    [None, b"", b" ", b"Bearer", b"Bearer ", b"bearer  ", b"Basic YTpi", b"Basic a,Bearer b"],
)
async def test_without_a_bearer_token_the_challenge_names_no_error(
    node: TestServer, value: bytes | None
) -> None:
    headers = [] if value is None else [(b"authorization", value)]
    response = await node.raw("GET", "/api/me", headers)
    assert (response.status, response.json["code"]) == (401, "NO_TOKEN")
    assert response.headers["www-authenticate"] == CHALLENGE
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR", "Bearer "])
async def test_the_scheme_is_case_insensitive(node: TestServer, scheme: str) -> None:
    token = (await node.sign_in())["accessToken"]
    response = await node.http.get("/api/me", headers={"Authorization": f"{scheme} {token}"})
    assert response.status_code == 200


@pytest.mark.parametrize("second", ["{token}", "other", ""])
async def test_two_authorization_headers_are_refused_even_if_one_is_valid(
    node: TestServer, second: str
) -> None:
    token = (await node.sign_in())["accessToken"]
    good = (b"authorization", f"Bearer {token}".encode())
    other = (b"authorization", f"Bearer {second.format(token=token)}".encode())
    for headers in ([good, other], [other, good]):
        response = await node.raw("GET", "/api/me", headers)
        assert (response.status, response.json["code"]) == (403, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "value",
    ["Bearer {t} {t}", "Bearer {t},{t}", "Bearer {t}, Bearer {t}", "Bearer {t} x", "Bearer {t},"],
)
async def test_one_header_with_more_than_one_token_is_refused(node: TestServer, value: str) -> None:
    token = (await node.sign_in())["accessToken"]
    headers = [(b"authorization", value.format(t=token).encode())]
    response = await node.raw("GET", "/api/me", headers)
    assert (response.status, response.json["code"]) == (403, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "value", [b"Bearer \xff", b"\xff", b"Bearer a\x00b", b"Bearer \xc3\xa9.a.b", b"B\xe9arer x"]
)
async def test_bytes_that_no_token_contains_are_refused(node: TestServer, value: bytes) -> None:
    response = await node.raw("GET", "/api/me", [(b"authorization", value)])
    assert (response.status, response.json["code"]) in {(403, "INVALID_TOKEN"), (401, "NO_TOKEN")}
    assert value.isascii() or response.status == 403


async def test_a_token_in_the_query_or_the_body_is_ignored(node: TestServer) -> None:
    token = (await node.sign_in())["accessToken"]
    for path in (f"/api/notes?access_token={token}", f"/api/notes?token=Bearer%20{token}"):
        response = await node.http.get(path)
        assert response.json()["code"] == "NO_TOKEN"
    response = await node.http.post("/api/notes", json={"text": "x", "accessToken": token})
    assert response.json()["code"] == "NO_TOKEN"


async def test_strict_rfc6750_answers_401_for_invalid_tokens(start: StartServer) -> None:
    node = await start(strict_rfc6750=True)
    response = await node.http.get("/api/me", headers={"Authorization": "Bearer x"})
    assert (response.status_code, response.json()["code"]) == (401, "INVALID_TOKEN")
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


async def test_an_invalid_token_is_challenged_with_its_error(node: TestServer) -> None:
    response = await node.http.get("/api/me", headers={"Authorization": "Bearer x"})
    assert response.status_code == 403
    assert response.headers["www-authenticate"].startswith(f'{CHALLENGE}, error="invalid_token"')
    assert response.headers["cache-control"] == "no-store"
