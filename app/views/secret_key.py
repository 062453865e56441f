"""Secret key: makes the key that a server signs with, and judges one that is given."""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from js import document, navigator
from pyodide.ffi import JsException

from unexpired.secret_strength import weaknesses
from views.ui.dom import listen, listen_async, stamp
from views.ui.i18n import retold, tr

VARIABLE = "UNEXPIRED_SECRET="
FINE = "Nothing speaks against it: random enough, and long enough to sign tokens."


class SecretKey:
    """The view that makes a key; it sends nothing and stores nothing."""

    title = "Secret key"

    def __init__(self) -> None:
        self.element = stamp("secret-key")
        self._maker = self.element.querySelector(".maker")
        self._line = self._maker.querySelector("textarea")
        self._said = self._maker.querySelector(".said")
        self._given = self.element.querySelector(".judge input")
        self._judgement = self.element.querySelector(".judge [role=status]")
        listen(self._maker, "change", lambda _: self._make())
        listen(self._maker, "submit", lambda _: self._make())
        listen_async(self._maker.querySelector("[type=button]"), "click", lambda _: self._copy())
        listen(self._given, "input", lambda _: self._classify())

    def show(self, _: Mapping[str, str]) -> None:
        """Make a fresh key; the last one is not for whoever comes next."""
        self.element.querySelector("h1").focus()
        self._given.value = ""
        self._classify()
        self._make()

    def _make(self) -> None:
        bits = int(self._choice("bits"))
        # In a browser this is crypto.getRandomValues.
        raw = secrets.token_bytes(bits // 8)
        self._line.value = f"{VARIABLE}{_spelled(raw, self._choice('spelling'))}"
        self._said.textContent = tr("A fresh key of {} bits.", bits)

    def _choice(self, name: str) -> str:
        return str(self._maker.elements.namedItem(name).value)

    async def _copy(self) -> None:
        try:
            await navigator.clipboard.writeText(self._line.value)
            self._said.textContent = tr("Copied.")
        except (JsException, AttributeError):  # Forbidden, or not there outside HTTPS.
            self._line.select()
            self._said.textContent = tr("Selected: copy it with your keyboard or menu.")

    def _classify(self) -> None:
        text = str(self._given.value).strip().removeprefix(VARIABLE)
        reasons = weaknesses(text) if text else []
        self._judgement.dataset.kind = "" if not text else "weak" if reasons else "fine"
        if not reasons:
            self._judgement.textContent = tr(FINE) if text else ""
            return
        sentence = document.createElement("p")
        sentence.textContent = tr("It must not sign tokens:")
        self._judgement.replaceChildren(sentence, _list(reasons))


def _spelled(raw: bytes, spelling: str) -> str:
    return raw.hex() if spelling == "hex" else urlsafe_b64encode(raw).rstrip(b"=").decode()


def _list(reasons: list[str]) -> Any:
    items = document.createElement("ul")
    for reason in reasons:
        item = document.createElement("li")
        item.textContent = retold(reason)
        items.append(item)
    return items
