"""The page's composition root: wires the client, the views and the settings of pyscript.toml."""

from js import document
from pyscript import config

from unexpired import AsyncClient
from views.drafts import Drafts
from views.notes import Notes
from views.router import Router, View
from views.session import SessionStatus
from views.sign_in import SignIn

HOME = "/notes"
SIGN_IN = "/login"


async def start() -> None:
    """Bring the page to life."""
    client = AsyncClient.in_browser(**config.get("unexpired", {}))
    views: dict[str, View] = {
        SIGN_IN: SignIn(client, home=f"#{HOME}"),
        HOME: Notes(client, Drafts()),
    }
    await client.ready()
    SessionStatus(client, sign_in=f"#{SIGN_IN}").start()
    Router(
        document.getElementById("view"),
        views,
        home=HOME,
        sign_in=SIGN_IN,
        is_signed_in=lambda: client.user is not None,
    ).start()
    document.documentElement.dataset.ready = "true"


# PyScript runs this module as an async one, and hears of what goes wrong here.
await start()  # type: ignore[top-level-await]  # noqa: F704, PLE1142
