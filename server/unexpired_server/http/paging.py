"""Lists in pages: what a request asks for, and how the OpenAPI document says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from unexpired_server.errors import BadRequest

MAX_LIMIT = 1000
"""The most that one response lists, and what it lists unless the request asks for less."""

ID_LENGTH = 64

PAGE_PARAMETERS: tuple[dict[str, Any], ...] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT},
    },
    {
        "name": "after",
        "in": "query",
        "schema": {"type": "string", "pattern": f"^[0-9A-Za-z]{{1,{ID_LENGTH}}}$"},
    },
)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list.

    Attributes:
        limit: The most to list.
        after: The ``next`` of the page before; None for the first page.
    """

    limit: int
    after: str | None


def read_page(request: Request) -> Page:
    """Read what part of a list a request asks for.

    Raises:
        BadRequest: Its ``limit`` or ``after`` is not one that the document allows.
    """
    query = request.query_params
    limit, after = query.get("limit", str(MAX_LIMIT)), query.get("after")
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= len(str(MAX_LIMIT))):
        raise BadRequest(f"limit must be a number from 1 to {MAX_LIMIT}.")
    if not 1 <= int(limit) <= MAX_LIMIT:
        raise BadRequest(f"limit must be a number from 1 to {MAX_LIMIT}.")
    is_id = after is None or (after.isascii() and after.isalnum() and len(after) <= ID_LENGTH)
    if not is_id:
        raise BadRequest("after must be the value of next in the page before.")
    return Page(int(limit), after)
