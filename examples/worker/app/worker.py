"""The worker: does the long work. It calls the API and never sees a token."""

from pyscript import sync

from unexpired import UnexpiredError
from unexpired.browser.worker import connect

client = connect()


async def count() -> str:
    try:
        response = await client.get("/api/notes")
    except UnexpiredError as error:
        return str(error)
    words = sum(len(note["text"].split()) for note in response.json()["notes"])
    return f"{words} words"


sync.count = count
