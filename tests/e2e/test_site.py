"""The built page on a static host, in a folder of it, with its API on another origin."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from playwright.sync_api import Page, expect

from build_site import build
from tests.e2e.conftest import ServerFactory
from tests.e2e.person import Person
from tests.e2e.test_story import EXPIRED, REFRESH
from tests.e2e.watch import Sent, Watch
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

NOTES = "/apps/notes/"
OTHER = "/apps/other/"
PLACE = f"{NOTES}#/notes?from=site"


@dataclass(frozen=True)
class Host:
    """A static host: Python's own, of a folder in which pages are only some things of many."""

    folder: Path
    url: str

    def publish(self, path: str, api: str) -> None:
        """Put the page that was built for an API into a folder of the host."""
        place = self.folder / path.strip("/")
        if not place.exists():
            build(ROOT, self.folder / "dist", api)
            shutil.copytree(self.folder / "dist", place)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    options = ("-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory")
    with subprocess.Popen(  # noqa: S603 - Our own words.
        [sys.executable, *options, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert address is not None
        yield Host(folder, address[0])
        process.terminate()


@pytest.fixture
def settings(host: Host) -> dict[str, float | str]:
    """Tokens that expire while one looks, for the pages of the host."""
    return {"access_ttl": 3, "leeway": 0, "cors_origins": host.url}


@pytest.fixture
def home(host: Host, backend: ServerProcess) -> str:
    host.publish(NOTES, backend.url)
    return host.url


@pytest.fixture
def stranger(host: Host, serve: ServerFactory) -> ServerProcess:
    """A server that lets other pages in, but not those of the host."""
    stranger = serve(cors_origins="https://elsewhere.example")
    host.publish(OTHER, stranger.url)
    return stranger


def test_a_page_hosted_elsewhere_keeps_its_session_and_its_place(
    person: Person, page: Page, backend: ServerProcess, watch: Watch
) -> None:
    """Tokens are renewed in silence; after the end the person is back, with what they typed."""
    sid = signed_in_session(person, PLACE)
    with page.expect_response(REFRESH):
        person.adds("written on a static host")
    person.new_note.fill("Half a thou")
    backend.run("session", "revoke", sid)
    person.is_at_sign_in()
    expect(person.alert).to_contain_text(EXPIRED)
    person.signs_in().is_at_notes()
    expect(page).to_have_url(PLACE)
    expect(person.new_note).to_have_value("Half a thou")
    assert watch.count("POST /api/login") == 2
    assert {sent.origin for sent in watch.sent if shows_secrets(sent)} == {backend.url}


def test_an_api_that_does_not_know_the_page_is_out_of_reach(
    person: Person, watch: Watch, stranger: ServerProcess
) -> None:
    """A person reads a sentence; the browser's own words stay in its console."""
    watch.admit(stranger.url)
    person.opens(OTHER).signs_in()
    expect(person.alert).to_contain_text("What you typed is kept.")
    expect(person.username).to_have_value("ada")
    watch.forgive("blocked by CORS policy", "Same Origin Policy")


@pytest.mark.usefixtures("stranger")
def test_pages_of_one_host_do_not_take_each_others_session(person: Person, watch: Watch) -> None:
    """A host gives all of its pages one storage; a token is shown only to the API that made it."""
    signed_in_session(person, NOTES)
    person.new_note.fill("for this page alone")
    person.opens(OTHER).is_at_sign_in()
    person.opens(NOTES).is_at_notes()
    expect(person.new_note).to_have_value("for this page alone")
    assert watch.count("POST /api/login") == 1


def shows_secrets(sent: Sent) -> bool:
    """Whether a request carries a token, or may carry one in its body."""
    return "authorization" in sent.headers or sent.body is not None


def signed_in_session(person: Person, address: str) -> str:
    """Sign in at an address; return the id that the server gives to the session."""
    person.opens(address)
    with person.page.expect_response("**/api/login") as login:
        person.signs_in().is_at_notes()
    token = login.value.json()["accessToken"]
    sid: str = jwt.decode(token, options={"verify_signature": False})["sid"]
    return sid
