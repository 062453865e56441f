"""The example resource."""

import asyncio

import pytest

from tests.server.harness import TestServer, bearer

STORES = ("sqlite", "postgres")


async def test_notes_are_listed_newest_first_and_belong_to_one_user(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    bob = bearer((await node.sign_in("bob"))["accessToken"])
    first = await node.http.post("/api/notes", json={"text": "one"}, headers=ada)
    second = await node.http.post("/api/notes", json={"text": "zwei 😀"}, headers=ada)
    assert first.status_code == 201
    assert first.json() == {
        "id": first.json()["id"],
        "text": "one",
        "createdAt": "2027-01-15T08:00:00Z",
    }
    listed = (await node.http.get("/api/notes", headers=ada)).json()
    assert listed == {"notes": [second.json(), first.json()]}
    assert (await node.http.get("/api/notes", headers=bob)).json() == {"notes": []}
    theirs = f"/api/notes/{first.json()['id']}"
    assert (await node.http.delete(theirs, headers=bob)).status_code == 404
    assert (await node.http.delete(theirs, headers=ada)).status_code == 204
    assert (await node.http.delete(theirs, headers=ada)).status_code == 404
    assert (await node.http.get("/api/notes", headers=ada)).json() == {"notes": [second.json()]}


@pytest.mark.parametrize("note_id", ["0", "-1", "x", "1.5", "9" * 30, "\u0661", "%00", "1%2F2"])
async def test_an_invalid_id_is_not_found(node: TestServer, note_id: str) -> None:
    headers = bearer((await node.sign_in())["accessToken"])
    response = await node.http.delete(f"/api/notes/{note_id}", headers=headers)
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("text", ["", "x" * 4001, None, 1, ["x"], "a\x00b"])
async def test_a_text_that_cannot_be_stored_is_a_bad_request(
    node: TestServer, text: object
) -> None:
    headers = bearer((await node.sign_in())["accessToken"])
    response = await node.http.post("/api/notes", json={"text": text}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


async def test_a_repeated_request_with_its_key_is_stored_once(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    headers = {**ada, "Idempotency-Key": "k-1"}
    responses = await asyncio.gather(
        *(node.http.post("/api/notes", json={"text": "once"}, headers=headers) for _ in range(10))
    )
    assert {response.status_code for response in responses} == {201}
    assert len({response.text for response in responses}) == 1
    node.clock.advance(100)
    late = await node.http.post("/api/notes", json={"text": "once"}, headers=headers)
    assert (late.status_code, late.json()) == (201, responses[0].json())
    assert len((await node.http.get("/api/notes", headers=ada)).json()["notes"]) == 1


async def test_a_key_for_another_text_is_refused_and_other_keys_and_users_are_not(
    node: TestServer,
) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    bob = bearer((await node.sign_in("bob"))["accessToken"])

    async def post(headers: dict[str, str], key: str, text: str) -> tuple[int, str]:
        headers = {**headers, "Idempotency-Key": key}
        response = await node.http.post("/api/notes", json={"text": text}, headers=headers)
        return response.status_code, response.json().get("code", "")

    assert await post(ada, "k", "one") == (201, "")
    assert await post(ada, "k", "two") == (422, "IDEMPOTENCY_MISMATCH")
    assert await post(ada, "l", "two") == (201, "")
    assert await post(bob, "k", "two") == (201, "")
    assert await post(bob, "k", "two") == (201, "")
    assert len((await node.http.get("/api/notes", headers=bob)).json()["notes"]) == 1


async def test_repeating_the_request_of_a_deleted_note_does_not_bring_it_back(
    node: TestServer,
) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    headers = {**ada, "Idempotency-Key": "k"}
    first = (await node.http.post("/api/notes", json={"text": "x"}, headers=headers)).json()
    await node.http.delete(f"/api/notes/{first['id']}", headers=ada)
    again = await node.http.post("/api/notes", json={"text": "x"}, headers=headers)
    assert (again.status_code, again.json()) == (201, first)
    assert (await node.http.get("/api/notes", headers=ada)).json() == {"notes": []}


@pytest.mark.parametrize("keys", [[b""], [b"x" * 256], [b"a\xff"], [b"a\x00"], [b"a", b"b"]])
async def test_an_invalid_key_is_a_bad_request(node: TestServer, keys: list[bytes]) -> None:
    token = (await node.sign_in())["accessToken"]
    headers = [
        (b"authorization", f"Bearer {token}".encode()),
        (b"content-type", b"application/json"),
        *((b"idempotency-key", key) for key in keys),
    ]
    response = await node.raw("POST", "/api/notes", headers, b'{"text": "x"}')
    assert (response.status, response.json["code"]) == (400, "BAD_REQUEST")
