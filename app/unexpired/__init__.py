"""Unexpired keeps a web app signed in.

from unexpired import AsyncClient

client = AsyncClient.in_browser()
await client.sign_in("ada", "correct horse")
response = await client.get("/api/notes")  # never a 401 for an expired token

"""

from __future__ import annotations

from unexpired.async_client import AsyncClient
from unexpired.backoff import backoff
from unexpired.claims import claims, expires_at, is_expiring_soon
from unexpired.dialect import Dialect
from unexpired.errors import (
    BadCredentials,
    BadReply,
    NotSignedIn,
    RateLimited,
    ReplayImpossible,
    SecondStepRequired,
    SessionEnded,
    SessionExpired,
    SignInFailed,
    UnexpiredError,
    Unreachable,
)
from unexpired.event_stream import ServerSentEvent
from unexpired.events import EventName
from unexpired.messages import Headers, Request, Response, ResponseHead
from unexpired.options import ClientOptions, Options
from unexpired.ports import (
    Clock,
    MemoryStore,
    Navigator,
    ProofKey,
    Prover,
    RefreshLock,
    StreamingTransport,
    SyncProofKey,
    SyncProver,
    SyncRefreshLock,
    SyncStreamingTransport,
    SyncTransport,
    SystemClock,
    TokenStore,
    Transport,
)
from unexpired.sign_in_redirect import sentence_for
from unexpired.streams import AsyncBody, AsyncResponseStream, ResponseStream, SyncBody
from unexpired.sync_client import Client
from unexpired.token_response import parse_retry_after

__version__ = "0.1.0"  # A literal: in a page there is no package metadata to read it from.

__all__ = [
    "AsyncBody",
    "AsyncClient",
    "AsyncResponseStream",
    "BadCredentials",
    "BadReply",
    "Client",
    "ClientOptions",
    "Clock",
    "Dialect",
    "EventName",
    "Headers",
    "MemoryStore",
    "Navigator",
    "NotSignedIn",
    "Options",
    "ProofKey",
    "Prover",
    "RateLimited",
    "RefreshLock",
    "ReplayImpossible",
    "Request",
    "Response",
    "ResponseHead",
    "ResponseStream",
    "SecondStepRequired",
    "ServerSentEvent",
    "SessionEnded",
    "SessionExpired",
    "SignInFailed",
    "StreamingTransport",
    "SyncBody",
    "SyncProofKey",
    "SyncProver",
    "SyncRefreshLock",
    "SyncStreamingTransport",
    "SyncTransport",
    "SystemClock",
    "TokenStore",
    "Transport",
    "UnexpiredError",
    "Unreachable",
    "backoff",
    "claims",
    "expires_at",
    "is_expiring_soon",
    "parse_retry_after",
    "sentence_for",
]
