"""Export: the notes as a file, fetched by synchronous code that does not know about tokens."""

import csv
import io
import json

import pytest
from playwright.sync_api import expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.saved_files import SavedFiles
from tests.e2e.watch import Watch
from tests.support.server_process import ServerProcess

NOTES = "GET /api/notes"
REFRESH = "POST /api/refresh"


@pytest.fixture
def exporter(writer: Person, backend: ServerProcess) -> Person:
    """A person at their notes, with a token that has expired only by the server's clock."""
    text = writer.page.evaluate("localStorage.getItem('unexpired')")
    record = json.loads(text)
    record["accessToken"] = backend.expired(record["accessToken"])
    writer.page.evaluate("text => localStorage.setItem('unexpired', text)", json.dumps(record))
    return writer


def exported(person: Person, files: SavedFiles) -> list[dict[str, str]]:
    """Press the button and return the rows of the file."""
    file = files.press(person.page.get_by_role("button", name="Export"))
    assert file.name == "notes.csv"
    content = file.read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def test_the_notes_are_saved_as_a_file(writer: Person, saved_files: SavedFiles, text: str) -> None:
    """The newest note comes first; each has its time; formulas are escaped."""
    writer.adds(f"{text}, older")
    writer.adds(f"=HYPERLINK({text})")
    newest, older = exported(writer, saved_files)[:2]
    assert newest["text"] == f"'=HYPERLINK({text})"
    assert older["text"] == f"{text}, older"
    assert newest["createdAt"] >= older["createdAt"]


def test_an_expired_token_costs_an_export_one_refresh(
    exporter: Person, watch: Watch, saved_files: SavedFiles, text: str
) -> None:
    """The synchronous request is repeated after one refresh, and the person stays signed in."""
    watch.sent.clear()
    assert isinstance(exported(exporter, saved_files), list)
    assert [sent.call for sent in watch.sent if "/api/" in sent.path] == [NOTES, REFRESH, NOTES]
    exporter.adds(text)
    assert watch.count(REFRESH) == 1
    assert exported(exporter, saved_files)[0]["text"] == text


def test_an_export_without_a_network_shows_an_error(
    writer: Person, saved_files: SavedFiles, text: str
) -> None:
    """The message is beside the button until an export succeeds."""
    writer.adds(text)
    restore = lose(writer.page, "**/api/notes")
    writer.page.get_by_role("button", name="Export").click()
    expect(writer.alert).to_contain_text("cannot be reached")
    restore()
    assert exported(writer, saved_files)[0]["text"] == text
    expect(writer.alert).to_be_hidden()
