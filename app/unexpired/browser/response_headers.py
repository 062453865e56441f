"""Header fields that stay JavaScript's until all of them are asked for.

Copying those of a usual response takes 0.02 ms, looking one up 0.001 ms; a call needs two.
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import JsException

from unexpired.messages import Headers


class ResponseHeaders(Headers):
    """The header fields of a response of fetch.

    Args:
        js_headers: Its ``Headers``, which nobody can change.
    """

    def __init__(self, js_headers: Any) -> None:
        self._js_headers = js_headers
        self._looked_up: dict[str, str | None] = {}

    def __getattr__(self, name: str) -> Any:
        """Copy the fields, when they are used for the first time."""
        if name != "_fields":
            raise AttributeError(name)
        self._fields: dict[str, str] = js.Object.fromEntries(self._js_headers).to_py()
        return self._fields

    def __getitem__(self, name: str) -> str:
        found = self._value(name.lower())
        if found is None:
            raise KeyError(name.lower())
        return found

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._value(name.lower()) is not None

    def __reduce__(self) -> tuple[type[Headers], tuple[dict[str, str]]]:
        return Headers, (self._fields,)  # An object of JavaScript cannot be pickled.

    def _value(self, name: str) -> str | None:
        if name not in self._looked_up:
            self._looked_up[name] = self._look_up(name)
        return self._looked_up[name]

    def _look_up(self, name: str) -> str | None:
        try:
            value = self._js_headers.get(name)
        except JsException:  # It is no name of a header field.
            return None
        return value if isinstance(value, str) else None
