"""A person at a provider's pages without a browser: redirects are followed, buttons pressed."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from tests.support import plain_http

MOST_PAGES = 20
AGREEMENTS = {"yes", "accept", "allow"}
"""Names or values of the button that agrees; on a page without one it is the first."""


class FormBrowser:
    """Visits a provider as a person who signs in and allows what is asked for.

    Its cookies stay: at a later visit the person is signed in at the provider.

    Args:
        login: The name to sign in with.
        refuses: The person signs in, and refuses what other pages ask.
        **fields: What is filled into further fields by name.
    """

    def __init__(self, login: str = "ada", *, refuses: bool = False, **fields: str) -> None:
        self.refuses = refuses
        self.fields = {"login": login, "password": "any", **fields}
        self.pages: list[str] = []
        """The address of each page with a form that was shown, without its query."""
        self._http = plain_http.Client()

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def visit(self, url: str) -> str:
        """Return the URL that the provider sends the browser back to, or of its last page.

        Raises:
            AssertionError: The provider shows an error.
        """
        start = _origin(url)
        response = self._http.get(url)
        for _ in range(MOST_PAGES):
            assert response.status_code < 400, f"{response.status_code}: {response.text}"
            location = response.headers.get("location")
            if location is not None:
                url = urljoin(url, location)
                if _origin(url) != start:
                    return url
                response = self._http.get(url)
                continue
            form = _first_form(response.text)
            if form is None:
                return url
            self.pages.append(url.partition("?")[0])
            url = urljoin(url, form.action or url)
            response = self._http.request(form.method, url, **self._sent(form))
        raise AssertionError(f"more than {MOST_PAGES} pages: {self.pages}")

    def _sent(self, form: Form) -> dict[str, Any]:
        answers = {name: self.fields[name] for name in form.fields if name in self.fields}
        data = {**form.fields, **answers, **form.button(agrees=bool(answers) or not self.refuses)}
        return {"data": data} if form.method == "POST" else {"params": data}


class Form(HTMLParser):
    """The first form of a page.

    Attributes:
        fields: The values of its inputs by name.
        buttons: For each, what pressing it adds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_found = self._is_open = False
        self.action, self.method = "", "GET"
        self.fields: dict[str, str] = {}
        self.buttons: list[dict[str, str]] = []

    def button(self, *, agrees: bool) -> dict[str, str]:
        """Return what is sent by the button that agrees, or by the one that refuses."""
        buttons = self.buttons or [{}]
        yes = next((one for one in buttons if AGREEMENTS & {*one, *one.values()}), buttons[0])
        return yes if agrees else next((one for one in buttons if one is not yes), yes)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Read the form, its inputs and its buttons."""
        given = {name: value or "" for name, value in attributes}
        if tag == "form" and not self.is_found:
            self.is_found = self._is_open = True
            self.action = given.get("action", "")
            self.method = given.get("method", "get").upper()
        if not self._is_open:
            return
        named = {given["name"]: given.get("value", "")} if given.get("name") else {}
        if tag == "button" or given.get("type") == "submit":
            self.buttons.append(named)
        elif tag == "input":
            self.fields |= named

    def handle_endtag(self, tag: str) -> None:
        """Leave out what follows the form."""
        if tag == "form":
            self._is_open = False


def _first_form(page: str) -> Form | None:
    form = Form()
    form.feed(page)
    return form if form.is_found else None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
