"""A form of an account: it waits for the server, and shows what is wrong next to the field."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from js import document

from unexpired import Response
from views.ui.dom import busy, is_busy, listen, start_task
from views.ui.error_messages import INPUT_IS_KEPT, errors_shown_in
from views.ui.i18n import tr, tr_code

NOT_OFFERED = "This server does not offer this."
FIELDS = {
    "INVALID_USERNAME": "username",
    "USERNAME_TAKEN": "username",
    "WEAK_PASSWORD": "newPassword",
    "BAD_CREDENTIALS": "currentPassword",
}
"""The field that an error code is about, where the form has that field."""

MESSAGES = {"BAD_CREDENTIALS": "The current password is not right.", "NOT_FOUND": NOT_OFFERED}
"""What the code means in these forms, where the server's sentence is about something else."""


class AccountForm:
    """One form in a view.

    Args:
        view: The view's element, with the form and an alert.
        submit: Sends what is typed; its response is shown if it is an error.
        on_success: Called with the response to what was accepted.
    """

    def __init__(
        self,
        view: Any,
        submit: Callable[[Mapping[str, str]], Awaitable[Response]],
        on_success: Callable[[Response], Awaitable[None]],
    ) -> None:
        self._form = view.querySelector("form")
        self._alert = view.querySelector("[role=alert]")
        self._button = self._form.querySelector("[type=submit]")
        self._send = submit
        self._on_success = on_success
        listen(self._form, "submit", lambda _: start_task(self._submit()))
        listen(self._form, "input", lambda event: _clear(event.target))
        listen(self._form, "change", lambda event: self._on_change(event.target))

    def show(self, alert: str = "") -> None:
        """Empty the passwords, show a message, and put the focus into the first empty field."""
        for field in self._form.querySelectorAll("[aria-describedby]"):
            _clear(field)
        self.empty_passwords()
        self._alert.dataset.kind = "error"
        self._alert.textContent = alert
        fields = self._form.querySelectorAll("input:not([type=checkbox], [hidden])")
        next((field for field in fields if not field.value), fields[0]).focus()

    def fill(self, name: str, value: str) -> None:
        """Fill in a field."""
        self._field(name).value = value

    def empty_passwords(self) -> None:
        """Empty the passwords, and hide them again."""
        for field in self._form.querySelectorAll("[name$=assword]"):
            field.value = ""
            field.type = "password"
        if show := self._field("show"):
            show.checked = False

    def _field(self, name: str) -> Any:
        return self._form.elements.namedItem(name)

    async def _submit(self) -> None:
        if is_busy(self._button):
            return
        fields = self._form.querySelectorAll("input:not([type=checkbox])")
        typed = {field.name: field.value for field in fields}
        with busy(self._button), errors_shown_in(self._alert, hint=INPUT_IS_KEPT):
            response = await self._send(typed)
            if response.is_success:
                await self._on_success(response)
            elif not self._show_problem(response):
                response.raise_for_status()

    def _show_problem(self, response: Response) -> bool:
        """Show what is wrong; return whether that is known."""
        code = response.code or ""
        field = self._field(FIELDS.get(code, ""))
        known = MESSAGES.get(code)
        message = tr(known) if known else tr_code(response.message or "", code)
        if field:
            _show(field, message)
        elif known:
            self._alert.textContent = message
        return bool(field or known)

    def _on_change(self, target: Any) -> None:
        if target.name == "show":
            for field in self._form.querySelectorAll("[name$=assword]"):
                field.type = "text" if target.checked else "password"


def _show(field: Any, message: str) -> None:
    field.setAttribute("aria-invalid", "true")
    _problem_of(field).textContent = message
    field.select()  # Also moves the focus, so that a screen reader reads the description.


def _clear(field: Any) -> None:
    if field.hasAttribute("aria-invalid"):
        field.removeAttribute("aria-invalid")
        _problem_of(field).textContent = ""


def _problem_of(field: Any) -> Any:
    return document.getElementById(field.getAttribute("aria-describedby").split()[-1])
