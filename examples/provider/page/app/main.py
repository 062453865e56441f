"""Sign in at an identity provider, and ask an API; the library refreshes the tokens as needed."""

from typing import Any

from pyscript import config, document, when

from unexpired import AsyncClient, UnexpiredError
from unexpired.oidc import Provider

client = AsyncClient.in_browser(provider=Provider(**config["provider"]))


@when("click", "button")
async def act(event: Any) -> None:
    try:
        if event and event.target.id == "sign-out":
            await client.sign_out()
        document.querySelector("output").textContent = (await client.get("/api/greeting")).text
    except UnexpiredError as error:
        document.querySelector("output").textContent = str(error)


await act(None)  # type: ignore[top-level-await]  # noqa: F704, PLE1142
