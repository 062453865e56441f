"""The page of the shop; the library keeps its customers signed in."""

from __future__ import annotations

from pyscript import document

from shopfront import people, teas
from shopfront.chat import chat
from shopfront.orders import Following
from shopfront.page import client, show_role

following = Following()


def opened() -> None:
    """Connect what needs a session."""
    following.start()
    chat.start()


def closed(*_details: object) -> None:
    """Disconnect it."""
    following.stop()
    chat.stop()


client.on("signed_in", opened)
client.on("signed_out", closed)
client.on("expired", closed)
client.on("refreshed", chat.renew)


async def start() -> None:
    """Show the shop, and continue the session if there is one."""
    people.follow_session()
    await client.ready()
    show_role()
    await teas.show()
    if client.user is not None:
        opened()
    document.documentElement.dataset.ready = "true"


# PyScript allows top-level await here.
await start()  # type: ignore[top-level-await]  # noqa: F704, PLE1142
