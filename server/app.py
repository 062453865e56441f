"""The demo's application: ``unexpired_server`` with notes, and this project's page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from server.notes import Notes
from server.notes_routes import OPERATIONS, NotesRoutes
from unexpired_server import Delivery, Hasher, Service, Settings, build_app

if TYPE_CHECKING:  # There is no build of it for a Python in a browser.
    from argon2 import PasswordHasher

PROJECT = Path(__file__).resolve().parent.parent
"""Holds the page: index.html, app/ and vendor/."""


def create_app(
    settings: Settings,
    *,
    now: Callable[[], float] | None = None,
    hasher: PasswordHasher | Hasher | None = None,
) -> Starlette:
    """Build the application.

    Args:
        settings: The server's settings.
        now: The clock of all nodes, in Unix seconds; the database's when None.
        hasher: Argon2's parameters, RFC 9106's low-memory ones when None; or another ``Hasher``.

    Raises:
        SettingsError: The keys or the database URL cannot be used, or an extra is missing.
    """
    deliver = _printed(settings) if settings.demo else None
    return with_notes(Service(settings, now=now, hasher=hasher, deliver=deliver))


def with_notes(service: Service) -> Starlette:
    """Build the application around a service.

    Args:
        service: The server's parts.

    Raises:
        SettingsError: There is a page, and the extra ``page`` is not installed.
    """
    notes = Notes(service.database)
    service.purge_also(notes.purge_keys)
    routes = NotesRoutes(notes, service.bearer, service.now).routes()
    return build_app(service, routes=routes, operations=OPERATIONS, page_dir=PROJECT)


def _printed(settings: Settings) -> Callable[[Delivery], Awaitable[None]]:
    """Return a hook that prints links for forgotten passwords, because the demo has no mail."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    origin = f"http://{host}:{settings.port}" if settings.port else ""

    async def deliver(delivery: Delivery) -> None:
        name = delivery.user.username
        link = f"{origin}/#/reset?token={delivery.token}"
        print(f"A new password for {name}: {link}", flush=True)  # noqa: T201 - the demo's mailbox

    return deliver
