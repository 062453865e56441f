# The part of PyScript's own package that the page and the examples use.

from collections.abc import Callable
from typing import Any, TypeVar

_Handler = TypeVar("_Handler", bound=Callable[..., Any])

config: dict[str, Any]
document: Any
sync: Any

def when(event: str, selector: str) -> Callable[[_Handler], _Handler]: ...
