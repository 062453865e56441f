"""The example resource."""

import asyncio

import httpx
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
        "version": first.json()["version"],
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


async def _note(node: TestServer, text: str, headers: dict[str, str]) -> dict[str, str]:
    response = await node.http.post("/api/notes", json={"text": text}, headers=headers)
    note: dict[str, str] = response.json()
    return note


async def _edit(
    node: TestServer, note: dict[str, str], text: str, headers: dict[str, str]
) -> httpx.Response:
    body = {"text": text, "version": note["version"]}
    return await node.http.put(f"/api/notes/{note['id']}", json=body, headers=headers)


async def test_an_edited_note_keeps_its_place_and_gets_another_version(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    first = await _note(node, "one", ada)
    second = await _note(node, "two", ada)
    edited = await _edit(node, first, "eins", ada)
    assert edited.status_code == 200
    assert edited.json() == {**first, "text": "eins", "version": edited.json()["version"]}
    assert edited.json()["version"] != first["version"]
    listed = (await node.http.get("/api/notes", headers=ada)).json()
    assert listed == {"notes": [second, edited.json()]}


async def test_an_edit_of_an_older_version_is_a_conflict_that_shows_the_note(
    node: TestServer,
) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    note = await _note(node, "one", ada)
    edited = (await _edit(node, note, "eins", ada)).json()
    late = await _edit(node, note, "uno", ada)
    assert late.status_code == 409
    assert late.json() == {
        "error": "This note was changed in the meantime.",
        "code": "NOTE_CHANGED",
        "note": edited,
    }
    assert (await node.http.get("/api/notes", headers=ada)).json() == {"notes": [edited]}


async def test_an_edit_can_be_repeated(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    note = await _note(node, "one", ada)
    first, again = [await _edit(node, note, "eins", ada) for _ in range(2)]
    assert (again.status_code, again.json()) == (200, first.json())


async def test_of_two_edits_at_once_one_is_a_conflict(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    note = await _note(node, "one", ada)
    answers = await asyncio.gather(*(_edit(node, note, text, ada) for text in "abcd"))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await node.http.get("/api/notes", headers=ada)).json() == {"notes": [won]}


async def test_only_its_owner_edits_a_note(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    bob = bearer((await node.sign_in("bob"))["accessToken"])
    note = await _note(node, "one", ada)
    assert (await _edit(node, note, "mine", bob)).status_code == 404
    assert (await _edit(node, {**note, "id": "x"}, "none", ada)).status_code == 404
    assert (await node.http.get("/api/notes", headers=ada)).json() == {"notes": [note]}


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x"},
        {"version": "x"},
        {"text": "", "version": "x"},
        {"text": "x" * 4001, "version": "x"},
    ],
)
async def test_an_edit_needs_a_text_and_a_version(node: TestServer, body: dict[str, str]) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    note = await _note(node, "one", ada)
    response = await node.http.put(f"/api/notes/{note['id']}", json=body, headers=ada)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("milk", ["Milk and bread"]),
        ("BREAD milk", ["Milk and bread"]),
        ("and", ["Ärger and Öl", "Milk and bread"]),
        ("ärger", ["Ärger and Öl"]),
        ("ÖL", ["Ärger and Öl"]),
        ("100%", ["100% sure_thing"]),
        ("0% _", ["100% sure_thing"]),
        ("%", ["100% sure_thing"]),
        ("/", []),
        ("milk sure", []),
        ("   ", ["100% sure_thing", "Ärger and Öl", "Milk and bread"]),
    ],
)
async def test_a_search_finds_the_notes_with_all_words(
    node: TestServer, search: str, found: list[str]
) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    for text in ("Milk and bread", "Ärger and Öl", "100% sure_thing"):
        await _note(node, text, ada)
    await _note(node, "milk", bearer((await node.sign_in("bob"))["accessToken"]))
    response = await node.http.get("/api/notes", params={"q": search}, headers=ada)
    assert [note["text"] for note in response.json()["notes"]] == found


async def test_what_is_found_comes_in_pages(node: TestServer) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    for text in ("yes 1", "no", "yes 2", "yes 3"):
        await _note(node, text, ada)
    query = {"q": "yes", "limit": "2"}
    first = (await node.http.get("/api/notes", params=query, headers=ada)).json()
    assert [note["text"] for note in first["notes"]] == ["yes 3", "yes 2"]
    query["after"] = first["next"]
    rest = (await node.http.get("/api/notes", params=query, headers=ada)).json()
    assert ([note["text"] for note in rest["notes"]], "next" in rest) == (["yes 1"], False)


@pytest.mark.parametrize("search", ["x" * 101, "a\0b"])
async def test_what_no_note_has_is_not_searched_for(node: TestServer, search: str) -> None:
    ada = bearer((await node.sign_in())["accessToken"])
    response = await node.http.get("/api/notes", params={"q": search}, headers=ada)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")
