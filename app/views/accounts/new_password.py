"""New password: what a link for a forgotten password leads to."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from js import history, location

from unexpired import AsyncClient, Response, UnexpiredError
from views.accounts.form import AccountForm
from views.ui.dom import clone_template
from views.ui.i18n import tr

NO_LINK = "Please open the link from the message again, or ask for a new one."


class NewPassword:
    """The view that replaces a forgotten password.

    The link's token is not in the address any more: boot.js has moved it into the state of this
    entry of the history, where a reload finds it again.

    Args:
        client: Sends the new password.
        sign_in: The address of the sign-in view, which says that the password is replaced.
    """

    title = "New password"

    def __init__(self, client: AsyncClient, *, sign_in: str) -> None:
        self._client = client
        self._sign_in = sign_in
        self.element = clone_template("new-password")
        self._form = AccountForm(self.element, self._replace, self._leave)

    def show(self, query: Mapping[str, str]) -> None:
        """Show the form."""
        del query
        self._form.show("" if _token() else tr(NO_LINK))

    async def _replace(self, typed: Mapping[str, str]) -> Response:
        new = {"token": _token(), "newPassword": typed["newPassword"]}
        return await self._client.post("/api/password/reset", json=new, auth=False)

    async def _leave(self, response: Response) -> None:
        del response
        self._form.empty_passwords()
        if self._client.user is not None:
            with suppress(UnexpiredError):  # This session has ended too, if it is the same user's.
                await self._client.get("/api/me")
        history.replaceState(None, "")
        location.replace(self._sign_in)


def _token() -> str:
    state = history.state
    return str(getattr(state, "resetToken", "") or "")
