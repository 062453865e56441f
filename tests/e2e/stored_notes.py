"""What the server has of the notes, asked from the page with its session."""

from playwright.sync_api import Page

STORED_NOTES = """async () => {
    const {accessToken} = JSON.parse(localStorage.getItem("unexpired"));
    const response = await fetch("/api/notes", {headers: {Authorization: `Bearer ${accessToken}`}});
    return (await response.json()).notes.map(note => note.text);
}"""


def stored_notes(page: Page, text: str) -> list[str]:
    """Return the server's notes with this text, the newest first."""
    return [note for note in page.evaluate(STORED_NOTES) if text in note]
