"""The page: it holds the session and makes the worker's requests."""

from pyscript import document, when

from unexpired import AsyncClient, UnexpiredError
from unexpired.browser.worker import serve

client = AsyncClient.in_browser(on_expired="event")
worker = document.querySelector("script[worker]").xworker
serve(client, worker.sync)
find = document.querySelector


@when("submit", "form")
async def count(_event: object) -> None:
    try:
        if client.user is None:
            await client.sign_in(find("#username").value, find("#password").value)
        await worker.ready
        find("output").textContent = await worker.sync.count()
    except UnexpiredError as error:
        find("output").textContent = str(error)
