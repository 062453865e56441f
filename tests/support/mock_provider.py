"""PyPI's oidc-provider-mock as an identity provider of a third make, in a process of its own.

It stands on Authlib. It differs from npm's oidc-provider and Django OAuth Toolkit: a refresh
token stays the same, a refresh brings no ID token, a person is asked at each sign-in, and there
is no revocation endpoint. An operator can revoke all tokens of a person.
"""

from __future__ import annotations

import sys
from typing import Any, Self

from tests.support import plain_http
from tests.support.form_browser import Form, FormBrowser
from tests.support.provider_process import ProviderProcess

PEOPLE = {
    sub: {"name": f"Name of {sub}", "email": f"{sub}@example.com", "team": "engines"}
    for sub in ("ada", "grace")
}


class MockProvider(ProviderProcess):
    """A provider on a free port, for a ``with`` block.

    It has the people of ``PEOPLE``, and one public client, which it registers (RFC 7591).

    Args:
        redirect_uris: Of the client.
        access_ttl: How long the first access token of a session lives, in seconds; those of its
            refreshes live an hour.

    Attributes:
        client_id: What it calls the client.
    """

    client_id: str

    def __init__(self, redirect_uris: list[str], *, access_ttl: int = 300) -> None:
        options = {"people": PEOPLE, "access_ttl": access_ttl}
        super().__init__((sys.executable, "-m", "tests.support.mock_provider_app"), options)
        self._redirect_uris = redirect_uris

    def __enter__(self) -> Self:
        """Start, wait until it answers, and register the client."""
        super().__enter__()
        self.client_id = self._registered()
        return self

    def revoke_all(self, sub: str) -> None:
        """Revoke all tokens of a person, as an operator does."""
        plain_http.post(f"{self.issuer}/users/{sub}/revoke-tokens").raise_for_status()

    def _registered(self) -> str:
        asked = {"redirect_uris": self._redirect_uris, "token_endpoint_auth_method": "none"}
        response = plain_http.post(self.metadata["registration_endpoint"], json=asked)
        return str(response.raise_for_status().json()["client_id"])


class MockBrowser(FormBrowser):
    """A person who enters a name, or who presses "Deny", which is a form of its own there.

    Args:
        sub: Whose name is entered.
        refuses: The person denies.
    """

    def __init__(self, sub: str = "ada", *, refuses: bool = False) -> None:
        super().__init__(refuses=refuses, sub=sub)

    def _sent(self, form: Form) -> dict[str, Any]:
        if self.refuses and "sub" in form.fields:
            return {"data": {"action": "deny"}}
        return super()._sent(form)
