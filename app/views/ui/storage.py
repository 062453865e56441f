"""The errors of ``localStorage``: it can be blocked, full or missing."""

from __future__ import annotations

from pyodide.ffi import JsException

# A browser refuses the property or the operation, or there is no object at all.
STORAGE_ERRORS = (JsException, AttributeError)
