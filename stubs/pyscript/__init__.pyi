# The part of PyScript's own package that the page uses.

from typing import Any

config: dict[str, Any]
