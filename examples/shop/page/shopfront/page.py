"""The client of the page, and what its parts share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyscript import document

from unexpired import AsyncClient, BadReply, UnexpiredError

client = AsyncClient.in_browser(on_expired="event")
find = document.querySelector


@contextmanager
def errors_shown() -> Iterator[None]:
    """Show what goes wrong as a sentence, and hide it when the next attempt begins."""
    show_problem("")
    try:
        yield
    except BadReply as error:  # FastAPI's own errors have their sentence in `detail`.
        details = error.response.fields if error.response else {}
        show_problem(str(details.get("detail") or error))
    except UnexpiredError as error:
        show_problem(str(error))


def show_problem(text: str) -> None:
    """Show a sentence above everything, or nothing."""
    find("#problem").textContent = text
    find("#problem").hidden = not text


def show_role() -> None:
    """Show what this person may use."""
    user = client.user
    scopes = user.get("scopes", []) if user else []
    role = "staff" if "teas:write" in scopes else "customer" if user else "nobody"
    document.documentElement.dataset.role = role
    greeting = f"Signed in as {user['username']} ({role})" if user else "You are not signed in"
    find("#who").textContent = greeting


def items(place: str, texts: list[str]) -> None:
    """Fill a list."""
    find(place).replaceChildren(*[_item(text) for text in texts])


def _item(text: str) -> Any:
    item = document.createElement("li")
    item.textContent = text
    return item
