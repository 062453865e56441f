"""Signing up, in and out; roles."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pyscript import when

from shopfront.page import client, errors_shown, find, show_role


@when("submit", "#sign-in")
async def enter(event: Any) -> None:
    form = event.target
    name, password = form.username.value, form.password.value
    with errors_shown():
        if event.submitter.value == "sign-up":
            body = {"username": name, "password": password}
            response = await client.post("/api/people", json=body, auth=False)
            await client.adopt(response.raise_for_status())
        else:
            await client.sign_in(name, password)
        form.reset()


@when("click", "#sign-out")
async def leave(_event: Any) -> None:
    await client.sign_out()


@when("submit", "#role")
async def give_role(event: Any) -> None:
    form = event.target
    name, role = form.elements.name.value, form.elements.role.value
    with errors_shown():
        path = f"/api/people/{quote(name, safe='')}/role"
        (await client.put(path, params={"role": role})).raise_for_status()
        find("#given").textContent = f"{name} is {role} from the next refresh on."


def follow_session() -> None:
    """Show who is signed in, and what they may use, whenever that changes."""
    for event in ("signed_in", "refreshed", "signed_out", "expired"):
        client.on(event, lambda *_: show_role())
