"""Injected HTML runs neither JavaScript nor Python, in browsers with Trusted Types and without."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.faults import lose
from tests.e2e.person import Person
from tests.e2e.test_language import GERMAN, prefer
from tests.e2e.watch import Watch
from tests.support.injection import MARK, PRESS, RAN, SCRIPTS, SINKS, WRITES, put

DIRECTIVES = "; require-trusted-types-for 'script'; trusted-types default"
HEADER = "content-security-policy"
POLICY = "**/vendor/trusted_types.js"
REFUSALS = ("Trusted", "injection sink", "event handler", "CSP reports")
"""What the browsers log of an attempt that they refuse."""

Prepare = Callable[[Page], None]


def as_it_is(_page: Page) -> None:
    """Leave the page as the server sends it."""


def without_trusted_types(page: Page) -> None:
    """Make the browser one that has no Trusted Types, and ignores their directives."""
    page.add_init_script("delete window.trustedTypes; delete window.TrustedHTML")
    rewrite(page, DIRECTIVES)


def with_trusted_types_only(page: Page) -> None:
    """Leave out what the page's own script does for browsers without Trusted Types."""
    policy = "trustedTypes.createPolicy('default', { createScript: (source) => source })"
    replace_policy(page, policy)


def without_a_policy(page: Page) -> None:
    """Take away everything that refuses."""
    replace_policy(page, "")
    rewrite(page, 'http-equiv="Content-Security-Policy"')


def replace_policy(page: Page, script: str) -> None:
    """Send another script in place of the page's own."""
    page.route(POLICY, lambda route: route.fulfill(body=script, content_type="text/javascript"))


def rewrite(page: Page, part: str) -> None:
    """Take a part out of the page; the header goes, because the page has the policy, too."""

    def fulfill(route: Route) -> None:
        response = route.fetch()
        headers = {name: value for name, value in response.headers.items() if name != HEADER}
        assert part in response.text()
        route.fulfill(response=response, headers=headers, body=response.text().replace(part, ""))

    page.route("**/", fulfill)


def marks(page: Page) -> None:
    """Wait until all scripts in Python that the page has by now have run."""
    page.evaluate("delete document.documentElement.dataset.marked")
    page.evaluate(MARK)
    expect(page.locator("html")).to_have_attribute("data-marked", "true")


@pytest.mark.parametrize(
    "prepare",
    [as_it_is, without_trusted_types, with_trusted_types_only],
    ids=lambda it: it.__name__,
)
def test_no_string_becomes_html(person: Person, watch: Watch, prepare: Prepare) -> None:
    """Every function that parses HTML refuses, and nothing of it runs, in Python neither."""
    page = person.page
    prepare(page)
    person.opens()
    assert page.evaluate(put(SINKS | WRITES)) == []
    marks(page)
    assert page.evaluate(PRESS) == 0
    assert page.evaluate(RAN) == []
    watch.forgive(*REFUSALS)


def test_without_the_policy_injected_html_runs(person: Person, watch: Watch) -> None:
    """It does run where nothing refuses it, which the other tests rely on."""
    page = person.page
    without_a_policy(page)
    page.route("https://**", lambda route: route.abort())  # MicroPython's own host.
    person.opens()
    assert len(page.evaluate(put(SINKS))) > len(SINKS)
    marks(page)
    assert page.evaluate(PRESS) > 0
    ran = ["onerror", "py-click", "py-script", "script", "type=py"]
    page.wait_for_function(f"String({RAN}) === '{','.join(ran)}'")
    watch.complaints.clear()
    watch.foreign_requests.clear()


def test_no_string_becomes_a_script(person: Person, watch: Watch) -> None:
    """The default policy lets Python's start compile a string, and nothing else."""
    page = person.opens().page
    passed = page.evaluate(put(SCRIPTS, {"script": ""}))
    assert (passed, page.evaluate(RAN)) == ([], [])
    assert page.evaluate("[eval('1 + 1'), Function('return 3')()]") == [2, 3]
    watch.forgive(*REFUSALS)


def test_text_without_a_tag_passes(person: Person) -> None:
    """Clearing an element works, and so does PyScript's ``display`` of a text."""
    page = person.opens().page
    page.evaluate(
        """() => {
            const place = document.createElement("p");
            place.id = "place";
            place.append("old");
            place.innerHTML = "";
            const script = document.createElement("py-script");
            script.append("from pyscript import display; display('1 & 1', target='place')");
            document.body.append(place, script);
        }"""
    )
    marks(page)
    assert page.locator("#place").text_content() == "1 & 1"


# -- The page itself -------------------------------------------------------------------------------

SIGNED_IN = {
    "#/notes": "Notes",
    "#/activity": "Activity",
    "#/devices": "Devices",
    "#/password": "Change password",
    "#/secret-key": "Secret key",
}
SIGNED_OUT = {
    "#/sign-up": "Create account",
    "#/forgot": "Forgotten password",
    "#/reset?token=none": "New password",
    "#/login": "Sign in",
}
VIOLATIONS = "JSON.parse(sessionStorage.violations ?? '[]')"
RECORD_VIOLATIONS = f"""addEventListener("securitypolicyviolation", ({{ effectiveDirective, sample }}) => {{
    sessionStorage.violations = JSON.stringify([...{VIOLATIONS}, effectiveDirective + ": " + sample]);
}});"""  # noqa: E501 - JavaScript.


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    "settings", [{"access_ttl": 2, "leeway": 0, "demo": "true"}], ids=["short tokens"]
)
def test_the_page_keeps_to_its_own_policy(page: Page, language: str) -> None:
    """No view violates it, in either language, offline, and after tokens have expired."""
    page.add_init_script(RECORD_VIOLATIONS)
    prefer(page, [language])
    person = Person(page, GERMAN if language == "de" else None).opens()
    tour(person, SIGNED_OUT)
    person.signs_in().is_at_notes()
    tour(person, SIGNED_IN)
    come_back = lose(page, "**/api/**")
    page.goto("/#/notes")
    person.new_note.fill("written offline")
    with page.expect_event("requestfailed"):  # Its token has expired by then.
        person.add_button.click()
    tour(person, SIGNED_IN)
    come_back()
    page.goto("/#/notes")
    expect(person.note("written offline").first).to_be_visible()
    person.sign_out_button.click()
    person.is_at_sign_in()
    assert page.evaluate(VIOLATIONS) == []


def tour(person: Person, views: dict[str, str]) -> None:
    """Open each view by its address."""
    for address, heading in views.items():
        person.page.goto(f"/{address}")
        expect(person.heading(heading)).to_be_visible()
