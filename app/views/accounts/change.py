"""Change password, for the person who is signed in."""

from __future__ import annotations

from collections.abc import Mapping

from unexpired import AsyncClient, Response
from views.accounts.form import AccountForm
from views.ui.dom import clone_template
from views.ui.i18n import tr

CHANGED = "Your password is changed. All other devices are signed out."
AT_PROVIDER = "You sign in with {}, so there is no password to change here."


class ChangePassword:
    """The view that changes the password.

    Args:
        client: Sends the passwords.
    """

    title = "Change password"

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.element = clone_template("change-password")
        self._result = self.element.querySelector(".result")
        self._form = AccountForm(self.element, self._change, self._confirm)
        client.on("expired", lambda _: self._form.empty_passwords())
        client.on("signed_out", lambda _: self._form.empty_passwords())

    def show(self, query: Mapping[str, str]) -> None:
        """Show the form, with the username for password managers, or why there is none."""
        del query
        user = self._client.user or {}
        provider = str(user.get("loginWith", ""))
        self._result.textContent = tr(AT_PROVIDER, provider) if provider else ""
        for part in self.element.querySelectorAll(".lead, form"):
            part.hidden = bool(provider)
        if provider:
            self.element.querySelector(".links a").focus()
            return
        self._form.fill("username", str(user.get("username", "")))
        self._form.show()

    async def _change(self, typed: Mapping[str, str]) -> Response:
        self._result.textContent = ""
        passwords = {name: typed[name] for name in ("currentPassword", "newPassword")}
        return await self._client.post("/api/password", json=passwords)

    async def _confirm(self, response: Response) -> None:
        del response
        self._form.show()
        self._result.textContent = tr(CHANGED)
