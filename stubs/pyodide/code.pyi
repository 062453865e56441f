# The parts of pyodide.code that are used.

from typing import Any

async def eval_code_async(source: str, globals: dict[str, Any] | None = None) -> Any: ...  # noqa: A002
def run_js(code: str, /) -> Any: ...
