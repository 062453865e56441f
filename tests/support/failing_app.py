"""An application whose lifespan raises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from unexpired_server.settings import Settings, SettingsError


def build_that_cannot_start(_settings: Settings) -> Starlette:
    """Return an application whose lifespan raises."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await _fail()
        yield

    return Starlette(lifespan=lifespan)


async def _fail() -> None:
    raise SettingsError("The database is newer than this server.")
