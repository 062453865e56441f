"""The built page in a folder of a static host, with its API on another origin."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ServerFactory
from tests.e2e.person import Person
from tests.e2e.test_injection import REFUSALS
from tests.e2e.test_start import IN_PYTHON
from tests.e2e.test_story import EXPIRED, REFRESH
from tests.e2e.watch import Sent, Watch
from tests.support.injection import SCRIPTS, SINKS, put
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess
from tests.support.static_host import static_host
from unexpired_kit.site import build

NOTES = "/apps/notes/"
OTHER = "/apps/other/"
ADDRESS = f"{NOTES}#/notes?from=site"


KEPT_NAMES = """
import sys, js
from pyodide.ffi import JsProxy
kept = {
    (module, name): (value, getattr(js, name))
    for module, content in [*sys.modules.items()]
    if module.partition(".")[0] in {"unexpired", "views"}
    for name, value in vars(content).items()
    if isinstance(value, JsProxy) and name != "js"
}
same = {name for name, (old, now) in kept.items() if old == now and type(old) is type(now)}
f"{len(kept) > 20} {sorted(kept.keys() - same)}"
"""


@dataclass(frozen=True)
class Host:
    """A static host that serves several pages: ``http.server``."""

    folder: Path
    url: str

    def publish(self, path: str, api: str) -> None:
        """Build the page for an API, and put it into a folder of the host."""
        place = self.folder / path.strip("/")
        if not place.exists():
            build(ROOT, self.folder / "dist", api)
            shutil.copytree(self.folder / "dist", place)


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    with static_host(folder) as address:
        yield Host(folder, address)


@pytest.fixture
def settings(host: Host) -> dict[str, float | str]:
    """Access tokens live 3 seconds; the pages of the host may call the API."""
    return {"access_ttl": 3, "leeway": 0, "cors_origins": host.url}


@pytest.fixture
def home(host: Host, backend: ServerProcess) -> str:
    host.publish(NOTES, backend.url)
    return host.url


@pytest.fixture
def other_api(host: Host, serve: ServerFactory) -> ServerProcess:
    """An API that allows another origin, not the host's."""
    other_api = serve(cors_origins="https://elsewhere.example")
    host.publish(OTHER, other_api.url)
    return other_api


def test_a_page_on_another_origin_keeps_its_session_and_its_place(
    person: Person, page: Page, backend: ServerProcess, watch: Watch
) -> None:
    """Tokens are refreshed unnoticed, by its key; a sign-in leads back, with what was typed."""
    sid = signed_in_session(person, ADDRESS)
    with page.expect_response(REFRESH) as refreshed:
        person.adds("written on a static host")
    assert refreshed.value.json()["bound"]
    person.new_note.fill("Half a thou")
    backend.run("session", "revoke", sid)
    person.is_at_sign_in()
    expect(person.alert).to_contain_text(EXPIRED)
    person.signs_in().is_at_notes()
    expect(page).to_have_url(ADDRESS)
    expect(person.new_note).to_have_value("Half a thou")
    assert watch.count("POST /api/login") == 2
    assert {sent.origin for sent in watch.sent if shows_secrets(sent)} == {backend.url}


def test_an_api_that_does_not_allow_the_origin_is_unreachable(
    person: Person, watch: Watch, other_api: ServerProcess
) -> None:
    """The page shows a message; the browser logs the reason."""
    watch.admit(other_api.url)
    person.opens(OTHER).signs_in()
    expect(person.alert).to_contain_text("What you typed is kept.")
    expect(person.username).to_have_value("ada")
    watch.forgive("blocked by CORS policy", "Same Origin Policy")


def test_pages_of_one_host_have_separate_sessions(
    person: Person, watch: Watch, other_api: ServerProcess
) -> None:
    """They share one storage; a token is sent only to the API that issued it."""
    watch.admit(other_api.url)
    signed_in_session(person, NOTES)
    person.new_note.fill("for this page only")
    person.opens(OTHER).is_at_sign_in()
    person.opens(NOTES).is_at_notes()
    expect(person.new_note).to_have_value("for this page only")
    assert watch.count("POST /api/login") == 1
    # The other page asks its API, which does not allow the origin, what it offers.
    assert not any(shows_secrets(sent) for sent in watch.sent if sent.origin == other_api.url)
    watch.forgive("blocked by CORS policy", "Same Origin Policy")


def test_the_built_page_refuses_injected_html(person: Person, watch: Watch) -> None:
    """No header says so here; the page itself has the policy and the script."""
    page = person.opens(NOTES).page
    assert page.evaluate(put(SINKS)) == []
    assert page.evaluate(put(SCRIPTS, {"script": ""})) == []
    watch.forgive(*REFUSALS)


def shows_secrets(sent: Sent) -> bool:
    """Return whether a request bears a token, or may have one in its body."""
    return "authorization" in sent.headers or sent.body is not None


def signed_in_session(person: Person, address: str) -> str:
    """Sign in at an address; return the session's id."""
    person.opens(address)
    with person.page.expect_response("**/api/login") as login:
        person.signs_in().is_at_notes()
    token = login.value.json()["accessToken"]
    sid: str = jwt.decode(token, options={"verify_signature": False})["sid"]
    return sid


def test_what_the_build_imported_has_the_browsers_own_objects(page: Page, person: Person) -> None:
    """What a module took from ``js`` in the build is this page's object, and of the right type."""
    person.opens(ADDRESS)
    assert page.evaluate(IN_PYTHON, KEPT_NAMES) == "True []"
