"""Django OAuth Toolkit as an identity provider of another make, in a process of its own.

It differs from npm's oidc-provider: its answer has no ``iss``, a person is a number, a client
in a browser gets a refresh token whatever scope it asks for, and discovery lists neither
revocation nor introspection nor devices.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.support.form_browser import FormBrowser
from tests.support.provider_process import ProviderProcess

PASSWORD = "correct horse"
PEOPLE = ("ada", "grace")
SERVER_SECRET = "server-secret"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
UNLISTED = {
    "revocation_endpoint": "/revoke_token/",
    "introspection_endpoint": "/introspect/",
    "device_authorization_endpoint": "/device-authorization/",
}


class DjangoProvider(ProviderProcess):
    """A provider on a free port, for a ``with`` block.

    It has the people of ``PEOPLE``, and the clients ``spa``, in a browser, ``server``, with a
    secret, and ``device``.

    Args:
        page: The origin that may call from a browser.
        redirect_uris: Of the clients ``spa`` and ``server``.
        post_logout_redirect_uris: Of the same.
        access_ttl: How long an access token lives, in seconds.
        consent: A person is asked what to allow.

    Attributes:
        unlisted: Its endpoints that are not in its metadata.
    """

    unlisted: Mapping[str, str]

    def __init__(
        self,
        page: str,
        redirect_uris: list[str],
        *,
        post_logout_redirect_uris: list[str] | None = None,
        access_ttl: int = 300,
        consent: bool = True,
    ) -> None:
        web = {
            "authorization_grant_type": "authorization-code",
            "redirect_uris": " ".join(redirect_uris),
            "post_logout_redirect_uris": " ".join(post_logout_redirect_uris or []),
            "skip_authorization": not consent,
        }
        secret = {"client_type": "confidential", "client_secret": SERVER_SECRET}
        device = {"client_type": "public", "authorization_grant_type": DEVICE_GRANT}
        options = {
            "clients": [
                {"client_id": "spa", "client_type": "public", **web},
                {"client_id": "server", **secret, **web},
                {"client_id": "device", **device},
            ],
            "people": PEOPLE,
            "password": PASSWORD,
            "page": page,
            "access_ttl": access_ttl,
        }
        super().__init__((sys.executable, "-m", "tests.support.django_provider_app"), options)

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        super().__enter__()
        self.unlisted = {name: self.issuer + path for name, path in UNLISTED.items()}
        return self


def form_browser(login: str = "ada", *, refuses: bool = False) -> FormBrowser:
    """Return a person who knows the password.

    Args:
        login: One of ``PEOPLE``.
        refuses: The person signs in, and refuses what other pages ask.
    """
    return FormBrowser(login, refuses=refuses, username=login, password=PASSWORD)


def sign_in(authorization_url: str, login: str = "ada", *, refuses: bool = False) -> str:
    """Return the URL that the provider sends the browser back to; see ``form_browser``."""
    with form_browser(login, refuses=refuses) as browser:
        return browser.visit(authorization_url)


def sign_in_on_page(page: Page, login: str = "ada", *, refuses: bool = False) -> None:
    """Fill in and press what the provider shows, until the page is back where it came from.

    Args:
        page: A real browser's page, on its way to the provider; or a pop-up window.
        login: One of ``PEOPLE``.
        refuses: The person signs in, and cancels on the next page.
    """
    page.wait_for_url(re.compile(r"/login/"), wait_until="domcontentloaded")
    provider = urlsplit(page.url).netloc
    while not page.is_closed() and urlsplit(page.url).netloc == provider:
        page.wait_for_load_state("domcontentloaded")
        button = page.locator("input[type=submit]").nth(0 if refuses else 1)
        if page.locator("input[name=username]").count():
            page.locator("input[name=username]").fill(login)
            page.locator("input[name=password]").fill(PASSWORD)
            button = page.locator("button")
        with page.expect_navigation(wait_until="commit"):
            button.click()
