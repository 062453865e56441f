"""Sign in at an identity provider, and ask an API; the library refreshes the tokens as needed."""

from typing import Any

from pyscript import config, document, when

from unexpired import AsyncClient, UnexpiredError
from unexpired.oidc import Provider

client = AsyncClient.in_browser(provider=Provider(**config["provider"]))
output = document.querySelector("output")


@when("click", "button")
async def act(event: Any) -> None:
    try:
        await client.ready()  # It finishes a sign-in that the page was opened with.
        if event and event.target.id == "ask":
            output.textContent = (await client.get("/api/greeting")).json()["greeting"]
        elif event:
            await client.sign_out()
    except UnexpiredError as error:
        output.textContent = str(error)


await act(None)  # type: ignore[top-level-await]  # noqa: F704, PLE1142
