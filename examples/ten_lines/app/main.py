"""Show who is signed in; the library refreshes the tokens as needed."""

from pyscript import document, when

from unexpired import AsyncClient, UnexpiredError

client = AsyncClient.in_browser(on_expired="event")
find = document.querySelector


@when("submit", "form")
async def ask(_event: object) -> None:
    try:
        if client.user is None:
            await client.sign_in(find("#username").value, find("#password").value)
        find("output").textContent = (await client.get("/api/me")).text
    except UnexpiredError as error:
        find("output").textContent = str(error)
