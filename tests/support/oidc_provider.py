"""npm's oidc-provider, a certified OpenID Connect provider, in a process of its own."""

from __future__ import annotations

import re
import shutil
from typing import Any, Self

import pytest
from playwright.sync_api import Page

from tests.support import plain_http
from tests.support.form_browser import FormBrowser
from tests.support.paths import ROOT
from tests.support.provider_process import ProviderProcess

PROGRAM = ROOT / "tests" / "support" / "oidc_provider.mjs"
CLIENT_SECRETS = {"server": "server-secret", "api": "api-secret"}
"""The clients that have one. The others are ``spa``, ``spa-dpop``, ``spa-es``, ``native``,
``native-dpop``, ``device``."""


class OidcProvider(ProviderProcess):
    """A provider on a free port, for a ``with`` block. Anyone signs in there by any name.

    Args:
        **options: The further ones of ``tests/support/oidc_provider.mjs`` and
            ``tools/identity_provider.mjs``, such as ``redirect_uris=[…]``, ``origins=[…]``,
            ``access_ttl=2``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__((node(), str(PROGRAM)), options)

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        super().__enter__()
        self._http = plain_http.Client(base_url=self.issuer)
        self.log()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._http.close()
        super().__exit__()

    def _start(self) -> str:
        announced = super()._start()
        skip_with_old_node(announced)
        return announced

    # -- What tests may ask of it --------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        """Return the requests since the last time, each with ``path``, ``status``, ``grant``, …."""
        entries: list[dict[str, Any]] = self._hook("log")
        return entries

    def change(self, **options: Any) -> None:
        """Change options at once, such as ``redirect_uris``, ``access_ttl`` or ``rotate``."""
        self._hook("change", **options)

    def slow(self, milliseconds: int) -> None:
        """Let the responses of the token endpoint come later."""
        self.change(slow=milliseconds)

    def fail(self, **statuses: int) -> None:
        """Respond with a status at these endpoints, by their names without ``_endpoint``.

        Without any, the provider works again.
        """
        named = {self.metadata[f"{name}_endpoint"]: status for name, status in statuses.items()}
        self.change(failing={url.removeprefix(self.issuer): to for url, to in named.items()})

    def lose_responses(self, count: int = 1) -> None:
        """Carry out that many token requests, and close the connection without a response."""
        self.change(lost_responses=count)

    def end_browser_sessions(self) -> None:
        """End everyone's session at the provider, as its operator may."""
        self._hook("forget", kind="Session")

    def revoke_grants(self) -> None:
        """Take back what everyone has allowed; no refresh token is good any more."""
        self._hook("forget", kind="Grant")

    def _hook(self, name: str, **parameters: Any) -> Any:
        return self._http.post(f"/__{name}", json=parameters).raise_for_status().json()


def sign_in(authorization_url: str, login: str = "ada", *, refuses: bool = False) -> str:
    """Return the URL that the provider sends the browser back to.

    Args:
        authorization_url: Where a client sends a person.
        login: The name to sign in with.
        refuses: The person signs in and cancels on the next page.
    """
    with FormBrowser(login, refuses=refuses) as browser:
        return browser.visit(authorization_url)


def sign_in_on_page(page: Page, login: str = "ada", *, refuses: bool = False) -> None:
    """Fill in and press what the provider shows, until the page is back where it came from.

    Args:
        page: A real browser's page, on its way to the provider; or a pop-up window.
        login: The name to sign in with.
        refuses: The person signs in and cancels on the next page.
    """
    page.wait_for_url(re.compile(r"/interaction/"), wait_until="domcontentloaded")
    while not page.is_closed() and "/interaction/" in page.url:
        page.wait_for_load_state("domcontentloaded")
        name = page.locator("input[name=login]")
        is_login = name.count() > 0
        if is_login:
            name.fill(login)
            page.locator("input[name=password]").fill("any")
        answer = "no" if refuses and not is_login else "yes"
        # Not expect_navigation(), which also waits for a response: a pop-up's callback page is gone
        # by then.
        with page.expect_event("framenavigated"):
            page.locator(f"button[name=answer][value={answer}]").click()


def node() -> str:
    """Return Node.js, or skip the test."""
    found = shutil.which("node")
    if found is None or not (ROOT / "node_modules" / "oidc-provider").exists():
        pytest.skip("needs Node.js and the npm packages: make setup")
    return found


def skip_with_old_node(announced: str) -> None:
    """Skip the test where the provider prints that it needs a later Node.js."""
    if announced.startswith("oidc-provider needs"):
        pytest.skip(announced)
