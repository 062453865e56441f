"""The demo's application: `unexpired_server` with notes, and this project's page."""

import time
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher
from starlette.applications import Starlette

from server.notes import Notes
from server.notes_routes import NotesRoutes
from unexpired_server.app import build_app
from unexpired_server.service import Service
from unexpired_server.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent
"""Holds the page: index.html, app/ and vendor/."""


def create_app(
    settings: Settings,
    *,
    now: Callable[[], float] = time.time,
    hasher: PasswordHasher | None = None,
) -> Starlette:
    """Build the application.

    Args:
        settings: How it behaves.
        now: The clock, in Unix seconds.
        hasher: Argon2's parameters; RFC 9106's low-memory ones when None.

    Raises:
        SettingsError: The keys or the database URL cannot be used.
    """
    service = Service(settings, now=now, hasher=hasher)
    notes = Notes(service.database)
    service.purge_also(notes.forget_keys)
    routes = NotesRoutes(notes, service.bearer, now).routes()
    return build_app(service, routes=routes, page_dir=PROJECT)
