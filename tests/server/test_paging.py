"""Lists in pages: every entry once, in order, and clear errors for what is no page."""

from typing import Any

import pytest

from tests.server.harness import TestServer, bearer

STORES = ("sqlite", "postgres")


async def all_pages(node: TestServer, path: str, token: str, limit: int) -> list[dict[str, Any]]:
    """Follow ``next`` to the end."""
    found: list[dict[str, Any]] = []
    query = f"?limit={limit}"
    for _ in range(20):
        response = await node.http.get(path + query, headers=bearer(token))
        assert response.status_code == 200, response.text
        body = response.json()
        page = body[path.rpartition("/")[2]]
        assert len(page) <= limit
        found += page
        if "next" not in body:
            return found
        query = f"?limit={limit}&after={body['next']}"
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 1000])
async def test_all_sessions_are_listed_once_newest_first(node: TestServer, limit: int) -> None:
    token = ""
    for number in range(7):
        # Some at the same moment, so that the time does not order them.
        node.clock.advance(number % 2)
        token = (await node.sign_in())["accessToken"]
    await node.sign_in("bob")
    listed = await all_pages(node, "/api/sessions", token, limit)
    assert len({one["id"] for one in listed}) == len(listed) == 7
    created = [one["createdAt"] for one in listed]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 1000])
async def test_all_notes_are_listed_once_newest_first(node: TestServer, limit: int) -> None:
    token = (await node.sign_in())["accessToken"]
    for number in range(6):
        body = {"text": str(number)}
        assert (await node.http.post("/api/notes", json=body, headers=bearer(token))).is_success
    listed = await all_pages(node, "/api/notes", token, limit)
    assert [one["text"] for one in listed] == ["5", "4", "3", "2", "1", "0"]


async def test_a_page_after_another_persons_session_is_empty(node: TestServer) -> None:
    token = (await node.sign_in())["accessToken"]
    others = (await node.sign_in("bob"))["accessToken"]
    (theirs,) = await all_pages(node, "/api/sessions", others, 10)
    response = await node.http.get(f"/api/sessions?after={theirs['id']}", headers=bearer(token))
    assert response.json() == {"sessions": []}


@pytest.mark.parametrize("path", ["/api/sessions", "/api/notes"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=1001", "limit=x", "limit=", "limit=1e2", "limit=%D9%A1",
        "limit=99999999999999999999", "after=", "after=%00", "after=a%20b", "after=..%2f",
        "after=" + "1" * 65, "after=%C3%A9",
    ],
)  # fmt: skip
async def test_what_is_no_page_is_a_bad_request(node: TestServer, path: str, query: str) -> None:
    token = (await node.sign_in())["accessToken"]
    response = await node.http.get(f"{path}?{query}", headers=bearer(token))
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")
