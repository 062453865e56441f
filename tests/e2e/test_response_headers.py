"""The header fields of a response in a page, which stay JavaScript's until all are asked for."""

import pytest
from playwright.sync_api import Page

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory

SETUP = """
import copy, pickle
from unexpired.browser.response_headers import ResponseHeaders
from unexpired.messages import Headers

def given(*fields):
    js_headers = js.Headers.new()
    for name, value in fields:
        js_headers.append(name, value)
    return ResponseHeaders(js_headers)

headers = given(("X-Id", "7"), ("ETag", "secret"), ("X-Two", "a"), ("x-two", "b, c"))
FIELDS = {"etag": "secret", "x-id": "7", "x-two": "a, b, c"}
None
"""


@pytest.fixture(scope="module")
def opened(context_of: ContextFactory, serve: ServerFactory) -> Library:
    """The library in a page, started once."""
    return Library(context_of(serve().url).new_page())


@pytest.fixture
def headers(opened: Library) -> Library:
    """The page, with header fields that nobody has looked at."""
    opened.run(SETUP)
    return opened


@pytest.mark.parametrize("name", ["X-Id", "x-id", "X-ID"])
def test_a_field_is_found_in_any_case(headers: Library, name: str) -> None:
    """As names of header fields are compared."""
    assert headers.run(f"headers[{name!r}], headers.get({name!r}), {name!r} in headers") == [
        "7",
        "7",
        True,
    ]


@pytest.mark.parametrize("name", ["x-absent", "", "no name", "naïve", "x:y", 7, None])
def test_what_is_no_field_is_absent(headers: Library, name: object) -> None:
    """Also what cannot be the name of one."""
    assert headers.run(f"{name!r} in headers") is False


def test_a_missing_field_has_a_default_or_is_a_key_error(headers: Library) -> None:
    """As in any mapping; the error names it."""
    assert headers.run("headers.get('X-Absent', 'other'), headers.get('no name')") == [
        "other",
        None,
    ]
    raised = (
        "try:\n    headers['X-Absent']\nexcept KeyError as error:\n    found = error.args\nfound"
    )
    assert headers.run(raised) == ["x-absent"]


def test_a_repeated_field_has_its_values_joined(headers: Library) -> None:
    """In their order, also when it is looked up after a copy was made."""
    assert (
        headers.run("headers['X-Two'], dict(headers)['x-two'], headers['x-two']") == ["a, b, c"] * 3
    )


def test_all_fields_are_listed_by_small_names(headers: Library) -> None:
    """Iteration, length and items are those of the same fields in Python."""
    assert headers.run("dict(headers) == FIELDS, len(headers), sorted(headers)") == [
        True,
        3,
        ["etag", "x-id", "x-two"],
    ]
    assert headers.run("headers == Headers(FIELDS), headers == Headers()") == [True, False]


@pytest.mark.parametrize(
    "copied",
    ["copy.copy(headers)", "copy.deepcopy(headers)", "pickle.loads(pickle.dumps(headers))"],
)
def test_a_copy_has_the_fields_and_nothing_of_javascript(headers: Library, copied: str) -> None:
    """It outlives the response."""
    source = f"copied = {copied}\ntype(copied) is Headers, dict(copied) == FIELDS, copied['ETag']"
    assert headers.run(source) == [True, True, "secret"]


def test_values_are_not_shown(headers: Library) -> None:
    """One may be a credential."""
    shown = headers.run("repr(headers)")
    assert sorted(shown.removeprefix("Headers(").removesuffix(")").split(", ")) == [
        "etag",
        "x-id",
        "x-two",
    ]


def test_a_look_copies_nothing(headers: Library) -> None:
    """Only what lists the fields does, once."""
    assert headers.run("headers['x-id'], 'etag' in headers, '_fields' in vars(headers)") == [
        "7",
        True,
        False,
    ]
    assert headers.run("len(headers) and headers._fields is headers._fields") is True


def test_there_is_no_attribute_by_guess(headers: Library) -> None:
    """Only the copy is made when it is asked for."""
    assert headers.run("hasattr(headers, 'fields'), hasattr(headers, '_other')") == [False, False]


def test_cookies_are_hidden_from_python(opened: Library) -> None:
    """The browser keeps ``Set-Cookie``; the other fields of a real response are there."""
    opened.reset()
    _respond(opened.page, {"set-cookie": "a=secret", "x-id": "7", "content-type": "text/plain"})
    opened.run("headers = (await client.get('/api/public', auth=False)).headers\nNone")
    assert opened.run("type(headers).__name__, headers['X-Id'], 'Set-Cookie' in headers") == [
        "ResponseHeaders",
        "7",
        False,
    ]
    assert opened.run("'set-cookie' in list(headers), 'secret' in str(dict(headers))") == [
        False,
        False,
    ]


def _respond(page: Page, fields: dict[str, str]) -> None:
    page.route("**/api/public", lambda route: route.fulfill(body="", headers=fields))
