"""Sign in: the form that is in the page before Python runs, and the button for a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from js import document, location, window

from unexpired import AsyncClient, SignInFailed, sentence_for
from views.sign_in.provider import Answer, ProviderSignIn
from views.ui.dom import busy, is_busy, listen, show_alert, start_task
from views.ui.error_messages import INPUT_IS_KEPT, errors_shown_in
from views.ui.i18n import tr

NOTICES = {"password_replaced": "Your password is changed. Please sign in with the new one."}
"""What the views of this page say by a reason, besides the library's own."""

ABANDONED = str(SignInFailed("ABANDONED"))


class SignIn:
    """The sign-in view.

    Args:
        client: Signs the person in.
        provider: Signs the person in elsewhere.
        home: The address to go to afterwards, if the URL names none.
    """

    title = "Sign in"

    def __init__(self, client: AsyncClient, provider: ProviderSignIn, *, home: str) -> None:
        self._client = client
        self._provider = provider
        self._home = home
        self.element = document.getElementById("sign-in")
        self._form = self.element.querySelector("form")
        self._alert = self.element.querySelector("[role=alert]")
        self._button = self._form.querySelector("[type=submit]")
        self._waiting = self.element.querySelector(".waiting")
        self._provider_button = self.element.querySelector("[data-action=provider]")
        self._demo = self.element.querySelector(".demo")
        self._query: Mapping[str, str] = {}
        self._remember()  # The last user, whose session may end before anything is shown.
        client.on("signed_in", self._remember)
        client.on("signed_out", lambda _: self._forget())
        listen(self._form, "submit", lambda _: self._submit())
        listen(self._provider_button, "click", lambda _: start_task(self._leave()))
        listen(window, "pageshow", lambda event: self._on_page_shown(event.persisted))

    def offer_provider(self, label: str) -> None:
        """Show the button that leads to the provider.

        Args:
            label: The provider's name for people.
        """
        self._provider_button.textContent = tr("Sign in with {}", label)
        self._provider_button.hidden = False

    def offer_demo(self, username: str, password: str) -> None:
        """Show the button that signs in as the user of a demonstration.

        Args:
            username: The user that everybody may sign in as.
            password: Their password, which is no secret.
        """
        button = self._demo.querySelector("button")
        listen(button, "click", lambda _: self._sign_in_as(username, password))
        self._demo.querySelector("small").textContent = tr(
            "This server is a demonstration: {} / {}", username, password
        )
        self._demo.hidden = False

    def show(self, query: Mapping[str, str]) -> None:
        """Show why a sign-in is needed; finish one at the provider, or one from before Python ran.

        Args:
            query: The query parameters of the route.
        """
        self._query = query
        answer = self._provider.answer()
        if answer and answer.code and self._provider.knows(answer):
            start_task(self._finish(answer))
        elif self._client.user is not None and "again" not in query:
            self._return()
        else:
            self._show_form(answer)

    def _show_form(self, answer: Answer | None) -> None:
        self._show_why(answer)
        self._keep_return_path(self._query.get("next", ""))
        username = self._field("username")
        username.value = username.value or self._username
        if not self._form.contains(document.activeElement):
            username.focus()
        if self._form.hasAttribute("data-pending"):
            self._button.removeAttribute("aria-busy")
            self._submit()

    def _show_why(self, answer: Answer | None) -> None:
        """Show why somebody is here who may have thought that they were signed in."""
        if answer:
            show_alert(self._alert, tr(self._provider.sentence(answer)))
            self._provider.forget(answer)
        elif self._provider.is_back_without_answer():
            show_alert(self._alert, tr(ABANDONED), kind="notice")
        else:
            reason = self._query.get("reason", "")
            notice = NOTICES.get(reason) or sentence_for(reason) or ""
            show_alert(self._alert, tr(notice), kind="notice")

    def _sign_in_as(self, username: str, password: str) -> None:
        self._field("username").value, self._field("password").value = username, password
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

    async def _leave(self) -> None:
        if is_busy(self._provider_button):
            return
        self._provider_button.setAttribute("aria-busy", "true")  # Until the page is gone.
        with errors_shown_in(self._alert):
            await self._provider.leave(self._query)
        if self._alert.textContent:
            self._provider_button.removeAttribute("aria-busy")

    def _on_page_shown(self, is_kept: bool) -> None:  # noqa: FBT001 - what the event says
        """Show the form again on a page that was left and that the browser has kept."""
        if is_kept:
            self._provider_button.removeAttribute("aria-busy")
            self._show_why(None)

    async def _finish(self, answer: Answer) -> None:
        """Exchange the answer's code for a session."""
        if is_busy(self._form):
            return
        self._waiting.textContent = tr("Signing you in…")
        with busy(self._form), errors_shown_in(self._alert):
            await self._provider.redeem(answer)
            document.documentElement.removeAttribute("data-session")  # See boot.js.
            self._return()
        self._waiting.textContent = ""
        if self._alert.textContent:
            self._field("username").focus()

    def _remember(self) -> None:
        """Remember who is signed in, so that they need not type their name after an expiry."""
        user = self._client.user
        self._username = str(user.get("username", "")) if user else ""

    def _forget(self) -> None:
        """Leave no name in the form: the person has signed out, perhaps of another's device."""
        self._username = ""

    def _keep_return_path(self, address: str) -> None:
        """Let a sign-up lead back to the same place as a sign-in."""
        link = self.element.querySelector("[data-feature=sign-up]")
        link.hash = f"#/sign-up?next={quote(address, safe='')}" if address else "#/sign-up"

    def _field(self, name: str) -> Any:
        return self._form.elements.namedItem(name)

    def _return(self) -> None:
        # `replace`, so that Back does not lead to a form that was already used.
        location.replace(self._client.return_path(self._home))
