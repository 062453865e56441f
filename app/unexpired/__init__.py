"""Unexpired keeps a web app signed in.

    from unexpired import AsyncClient

    client = AsyncClient.in_browser()
    await client.sign_in("ada", "correct horse")
    response = await client.get("/api/notes")  # never a 401 for an expired token

The reading order of the modules is their import order: errors, messages, claims, origins,
sentences, replies, dialect, retry, session, patience, ports, options, policy, listeners, bodies,
keeper, surface, client, sync_client, relay, adapters, process, browser.
"""

from .claims import claims, expires_at, is_expiring_soon
from .client import AsyncClient
from .dialect import Dialect
from .errors import (
    BadCredentials,
    BadReply,
    NotSignedIn,
    RateLimited,
    ReplayImpossible,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)
from .listeners import EventName
from .messages import Headers, Request, Response
from .options import Options
from .ports import (
    Clock,
    MemoryStore,
    Navigator,
    RefreshLock,
    SyncRefreshLock,
    SyncTransport,
    SystemClock,
    TokenStore,
    Transport,
)
from .sentences import sentence_for
from .sync_client import Client

__all__ = [
    "AsyncClient",
    "BadCredentials",
    "BadReply",
    "Client",
    "Clock",
    "Dialect",
    "EventName",
    "Headers",
    "MemoryStore",
    "Navigator",
    "NotSignedIn",
    "Options",
    "RateLimited",
    "RefreshLock",
    "ReplayImpossible",
    "Request",
    "Response",
    "SessionEnded",
    "SessionExpired",
    "SyncRefreshLock",
    "SyncTransport",
    "SystemClock",
    "TokenStore",
    "Transport",
    "UnexpiredError",
    "Unreachable",
    "claims",
    "expires_at",
    "is_expiring_soon",
    "sentence_for",
]
