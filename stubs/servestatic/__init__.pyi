from collections.abc import Callable
from pathlib import Path
from wsgiref.headers import Headers

from starlette.types import ASGIApp, Receive, Scope, Send

class ServeStaticASGI:
    files: dict[str, object]

    def __init__(
        self,
        application: ASGIApp,
        root: Path | None = None,
        prefix: str | None = None,
        *,
        max_age: int | None = 60,
        allow_all_origins: bool = True,
        add_headers_function: Callable[[Headers, str, str], None] | None = None,
    ) -> None: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
