"""Forgotten password: asks for a link."""

from __future__ import annotations

from collections.abc import Mapping

from unexpired import AsyncClient, Response
from views.accounts.form import AccountForm
from views.ui.dom import clone_template
from views.ui.i18n import tr

SENT = "If there is such an account, a link is on its way. It works once, for 30 minutes."


class Forgotten:
    """The view that asks for a link to replace a password.

    Args:
        client: Sends the request.
    """

    title = "Forgotten password"

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.element = clone_template("forgotten")
        self._result = self.element.querySelector(".result")
        self._form = AccountForm(self.element, self._ask, self._confirm)

    def show(self, query: Mapping[str, str]) -> None:
        """Show the form."""
        del query
        self._result.textContent = ""
        self._form.show()

    async def _ask(self, typed: Mapping[str, str]) -> Response:
        self._result.textContent = ""
        return await self._client.post("/api/password/forgot", json=dict(typed), auth=False)

    async def _confirm(self, response: Response) -> None:
        del response
        self._result.textContent = tr(SENT)
