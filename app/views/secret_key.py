"""Secret key: generates a signing key for a server, and checks an existing one."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from js import document, navigator, window
from pyodide.ffi import JsException

from unexpired.secret_strength import weaknesses
from views.ui.dom import clone_template, listen, listen_async
from views.ui.i18n import tr, tr_numbers

VARIABLE = "UNEXPIRED_SECRET="
STRONG = "Strong enough: long and random."


class SecretKey:
    """The Secret key view; it sends and stores nothing."""

    title = "Secret key"

    def __init__(self) -> None:
        self.element = clone_template("secret-key")
        self._form = self.element.querySelector(".generate")
        self._line = self._form.querySelector("textarea")
        self._result = self._form.querySelector(".result")
        self._given = self.element.querySelector(".check input")
        self._assessment = self.element.querySelector(".check [role=status]")
        listen(self._form, "change", lambda _: self._generate())
        listen(self._form, "submit", lambda _: self._generate())
        listen_async(self._form.querySelector("[type=button]"), "click", lambda _: self._copy())
        listen(self._given, "input", lambda _: self._check())
        listen(window, "resize", lambda _: self._fit())

    def show(self, _: Mapping[str, str]) -> None:
        """Generate a new key, so that the next person does not see the last one."""
        self.element.querySelector("h1").focus()
        self._given.value = ""
        self._check()
        self._generate()

    def _generate(self) -> None:
        bits = int(self._choice("bits"))
        # In a browser this calls crypto.getRandomValues.
        key = secrets.token_bytes(bits // 8)
        self._line.value = f"{VARIABLE}{_encode(key, self._choice('encoding'))}"
        self._fit()
        self._result.textContent = tr("A new key of {} bits.", bits)

    def _fit(self) -> None:
        """Show all lines of the key, however narrow the page is."""
        self._line.style.height = "auto"
        border = self._line.offsetHeight - self._line.clientHeight
        self._line.style.height = f"{self._line.scrollHeight + border}px"

    def _choice(self, name: str) -> str:
        return str(self._form.elements.namedItem(name).value)

    async def _copy(self) -> None:
        try:
            await navigator.clipboard.writeText(self._line.value)
            self._result.textContent = tr("Copied.")
        except (JsException, AttributeError):  # Not permitted, or no clipboard without HTTPS.
            self._line.select()
            self._result.textContent = tr("Selected: copy it with your keyboard or menu.")

    def _check(self) -> None:
        text = str(self._given.value).strip().removeprefix(VARIABLE)
        reasons = weaknesses(text) if text else []
        self._assessment.dataset.kind = "" if not text else "weak" if reasons else "strong"
        if not reasons:
            self._assessment.textContent = tr(STRONG) if text else ""
            return
        heading = document.createElement("p")
        heading.textContent = tr("Do not sign tokens with it:")
        self._assessment.replaceChildren(heading, _list(reasons))


def _encode(key: bytes, encoding: str) -> str:
    return key.hex() if encoding == "hex" else urlsafe_b64encode(key).rstrip(b"=").decode()


def _list(reasons: list[str]) -> Any:
    items = document.createElement("ul")
    for reason in reasons:
        item = document.createElement("li")
        item.textContent = tr_numbers(reason)
        items.append(item)
    return items
