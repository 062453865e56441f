"""The page: sign in, and write notes. The client keeps the person signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyscript import config, document, when

from unexpired import AsyncClient, NotSignedIn, SessionEnded, SessionExpired, UnexpiredError

root = document.documentElement
find = document.querySelector
client = AsyncClient.in_browser(
    on_expired="event",  # Stay here and show the form: the page has no other for signing in.
    storage_key=root.dataset.storageKey,
    **config.get("unexpired", {}),  # Of pyscript.toml; a build for an API elsewhere names it there.
)


@contextmanager
def problems_shown() -> Iterator[None]:
    """Show what goes wrong as a sentence, and hide it when the next attempt begins."""
    find("#problem").textContent = ""
    try:
        yield
    except (NotSignedIn, SessionEnded, SessionExpired):
        pass  # The session's events say so, below.
    except UnexpiredError as error:  # Each is a sentence for the person.
        find("#problem").textContent = str(error)


# -- Notes -----------------------------------------------------------------------------------------


def item(note: dict[str, Any]) -> Any:
    """Return a note as an element of the list."""
    element = find("#note").content.firstElementChild.cloneNode(True)
    element.dataset.id = str(note["id"])
    element.firstElementChild.textContent = note["text"]
    element.querySelector("button").ariaLabel = f"Delete: {note['text'][:40]}"
    return element


async def load() -> None:
    """Show the notes."""
    with problems_shown():
        response = await client.get("/api/notes")
        notes = response.raise_for_status().json()["notes"]
        find("#list").replaceChildren(*[item(note) for note in notes])


@when("submit", "#new")
async def add(event: Any) -> None:
    """Add a note; what was typed stays until the server has it."""
    field = event.target.elements.text
    with problems_shown():
        response = await client.post("/api/notes", json={"text": field.value})
        find("#list").prepend(item(response.raise_for_status().json()))
        field.value = ""


@when("click", "#list")
async def delete(event: Any) -> None:
    """Delete the note whose button was pressed."""
    if event.target.matches("button"):
        element = event.target.closest("li")
        with problems_shown():
            response = await client.delete(f"/api/notes/{element.dataset.id}")
            response.raise_for_status()
            element.remove()
            find("#new textarea").focus()


# -- The session -----------------------------------------------------------------------------------


@when("submit", "#sign-in")
async def sign_in(event: Any) -> None:
    """Sign in."""
    fields = event.target.elements
    with problems_shown():
        await client.sign_in(fields.username.value, fields.password.value)


@when("click", "#sign-out")
async def sign_out(_event: Any) -> None:
    """Sign out, here and in all other tabs."""
    with problems_shown():
        await client.sign_out()


def show(notice: str) -> None:
    """Show a sentence about the session, or nothing."""
    find("#notice").textContent = notice


def show_view() -> None:
    """Show the notes, or the form to sign in."""
    user = client.user
    root.dataset.view = "notes" if user else "sign-in"
    find("#who").textContent = user["username"] if user else ""
    find("#list").replaceChildren()


async def entered() -> None:
    """Show the notes of the person who has signed in, in whichever tab."""
    form, user = find("#new"), client.user
    had_form = root.dataset.view == "sign-in"
    show("")
    show_view()
    find("#sign-in").reset()
    if user and form.dataset.writer != user["id"]:
        form.reset()  # What somebody else has typed here.
        form.dataset.writer = user["id"]
    if had_form:
        form.elements.text.focus()
    await load()


def expired(_code: str) -> None:
    """Say that the session is over; what was typed is still there after the next sign-in."""
    show_view()
    find("#problem").textContent = ""
    show("Your session is over. Please sign in again: what you were writing is kept.")


def left(_where: str) -> None:
    """Forget what was typed."""
    show_view()
    find("#new").reset()
    show("You are signed out.")


async def recovered() -> None:
    """Show the notes as they are now."""
    show("")
    await load()


client.on("signed_in", entered)
client.on("expired", expired)
client.on("signed_out", left)
client.on("degraded", lambda: show("Reconnecting… You are still signed in."))
client.on("recovered", recovered)

await client.ready()
show_view()
for button in document.querySelectorAll(".python"):
    button.disabled = False
if client.user:
    await entered()
root.dataset.ready = "true"
