# The browser's global scope: whatever JavaScript has there, untyped.

from typing import Any

def __getattr__(name: str) -> Any: ...
