"""Sign in: the form that is in the page before Python runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from js import document, location

from unexpired import AsyncClient, sentence_for
from views.ui.dom import busy, is_busy, listen, show_alert, start_task
from views.ui.error_messages import INPUT_IS_KEPT, errors_shown_in
from views.ui.i18n import tr

NOTICES = {"password_replaced": "Your password is changed. Please sign in with the new one."}
"""What the views of this page say by a reason, besides the library's own."""


class SignIn:
    """The sign-in view.

    Args:
        client: Signs the person in.
        home: The address to go to afterwards, if the URL names none.
    """

    title = "Sign in"

    def __init__(self, client: AsyncClient, *, home: str) -> None:
        self._client = client
        self._home = home
        self.element = document.getElementById("sign-in")
        self._form = self.element.querySelector("form")
        self._alert = self.element.querySelector("[role=alert]")
        self._button = self.element.querySelector("button")
        listen(self._form, "submit", lambda _: self._submit())

    def show(self, query: Mapping[str, str]) -> None:
        """Show why a sign-in is needed; submit the form if it was sent before Python ran."""
        if self._client.user is not None and "again" not in query:
            self._return()
            return
        reason = query.get("reason", "")
        notice = NOTICES.get(reason) or sentence_for(reason) or ""
        show_alert(self._alert, tr(notice), kind="notice")
        self._keep_return_path(query.get("next", ""))
        if not self._form.contains(document.activeElement):
            self._field("username").focus()
        if self._form.hasAttribute("data-pending"):
            self._button.removeAttribute("aria-busy")
            self._submit()

    def _submit(self) -> None:
        self._form.removeAttribute("data-pending")
        start_task(self._sign_in(self._field("username").value, self._field("password").value))

    async def _sign_in(self, username: str, password: str) -> None:
        if is_busy(self._button):
            return
        with busy(self._button), errors_shown_in(self._alert, hint=INPUT_IS_KEPT):
            await self._client.sign_in(username, password)
            self._form.reset()
            document.documentElement.removeAttribute("data-session")  # See boot.js.
            self._return()
        if self._alert.textContent:
            self._field("password").select()

    def _keep_return_path(self, address: str) -> None:
        """Let a sign-up lead back to the same place as a sign-in."""
        link = self.element.querySelector("[data-feature=sign-up]")
        link.hash = f"#/sign-up?next={quote(address, safe='')}" if address else "#/sign-up"

    def _field(self, name: str) -> Any:
        return self._form.elements.namedItem(name)

    def _return(self) -> None:
        # `replace`, so that Back does not lead to a form that was already used.
        location.replace(self._client.return_path(self._home))
