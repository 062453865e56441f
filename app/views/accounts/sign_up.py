"""Create account."""

from __future__ import annotations

from collections.abc import Mapping

from js import location

from unexpired import AsyncClient, Response
from views.accounts.form import AccountForm
from views.ui.dom import clone_template


class SignUp:
    """The view that creates an account, and signs in.

    Args:
        client: Signs the person in.
        home: The address to go to afterwards, if the URL names none.
    """

    title = "Create account"

    def __init__(self, client: AsyncClient, *, home: str) -> None:
        self._client = client
        self._home = home
        self.element = clone_template("sign-up")
        self._form = AccountForm(self.element, self._create, self._enter)

    def show(self, query: Mapping[str, str]) -> None:
        """Show the form, unless somebody is signed in."""
        del query
        if self._client.user is not None:
            self._return()
        else:
            self._form.show()

    async def _create(self, typed: Mapping[str, str]) -> Response:
        account = {"username": typed["username"], "password": typed["newPassword"]}
        return await self._client.post("/api/signup", json=account, auth="sign_in")

    async def _enter(self, response: Response) -> None:
        await self._client.adopt(response)
        self._form.empty_passwords()
        self._return()

    def _return(self) -> None:
        # `replace`, so that Back does not lead to a form that was already used.
        location.replace(self._client.return_path(self._home))
