# The part of pyodide.code that the tests use.

from typing import Any

async def eval_code_async(source: str, globals: dict[str, Any] | None = None) -> Any: ...  # noqa: A002
