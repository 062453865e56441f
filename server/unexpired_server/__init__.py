"""The Unexpired server: issues, verifies, refreshes and revokes the tokens of a session.

The names in ``__all__`` are the public API. Each is imported on first use, so that importing the
package is cheap, and a service that only verifies tokens never loads the database.

The package has floors; a module imports only from its own room and from floors below it:

1. ``scopes``: what users may do, as text.
2. ``errors``, ``settings``: what everything may use.
3. ``extras``: optional dependencies.
4. ``tokens``, ``storage``, ``ops``: access tokens and keys; the database; running a process.
5. ``sessions``: sessions and users, on tokens and storage.
6. ``http``: requests and responses, on sessions and ops.
7. ``service``: all parts, built from the settings.
8. ``auth``: a service in other people's applications.
9. ``app``: the ASGI application around a service.
10. ``cli``: the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unexpired_server.app import build_app, create_app
    from unexpired_server.auth import Auth
    from unexpired_server.errors import (
        BadCredentials,
        BadRequest,
        Challenge,
        Failure,
        Forbidden,
        IdempotencyMismatch,
        InvalidProof,
        NotFound,
        SecondStepRequired,
        SessionRevoked,
        TokenError,
        TokenExpired,
        TokenInvalid,
        TokenMissing,
        Unavailable,
        UseDPoPNonce,
    )
    from unexpired_server.http.bearer import BearerAuthenticator
    from unexpired_server.http.bodies import read_body
    from unexpired_server.http.exception_handlers import failure_handlers
    from unexpired_server.http.failure_response import (
        FailureResponse,
        failure_response,
        iso,
    )
    from unexpired_server.http.models import NonEmptyStr, RequestModel, ResponseModel
    from unexpired_server.http.openapi import (
        BEARER_FAILURES,
        BODY_FAILURES,
        ID_PARAMETER,
        Operation,
    )
    from unexpired_server.http.paging import PAGE_PARAMETERS, Page, read_page
    from unexpired_server.http.requires import requires
    from unexpired_server.http.responses import json_response, no_content
    from unexpired_server.http.sockets import AuthSocket
    from unexpired_server.http.starlette_backend import (
        BearerBackend,
        SignedInUser,
        on_bearer_error,
    )
    from unexpired_server.service import Service
    from unexpired_server.sessions.deliveries import Delivery
    from unexpired_server.sessions.identities import Identity, IdentityStore
    from unexpired_server.sessions.passwords import Hasher, InvalidPasswordError, Passwords
    from unexpired_server.sessions.user import ClaimsHook, User, UserStore
    from unexpired_server.settings import Settings, SettingsError, load_settings
    from unexpired_server.storage.database import Database
    from unexpired_server.storage.schema import metadata
    from unexpired_server.tokens.access_tokens import Claims
    from unexpired_server.tokens.introspection_verifier import IntrospectionVerifier
    from unexpired_server.tokens.jwks_verifier import JWKSVerifier
    from unexpired_server.tokens.timed_proofs import Call
    from unexpired_server.tokens.token_verifier import TokenVerifier

__version__ = "0.1.0"

__all__ = [
    "BEARER_FAILURES",
    "BODY_FAILURES",
    "ID_PARAMETER",
    "PAGE_PARAMETERS",
    "Auth",
    "AuthSocket",
    "BadCredentials",
    "BadRequest",
    "BearerAuthenticator",
    "BearerBackend",
    "Call",
    "Challenge",
    "Claims",
    "ClaimsHook",
    "Database",
    "Delivery",
    "Failure",
    "FailureResponse",
    "Forbidden",
    "Hasher",
    "IdempotencyMismatch",
    "Identity",
    "IdentityStore",
    "IntrospectionVerifier",
    "InvalidPasswordError",
    "InvalidProof",
    "JWKSVerifier",
    "NonEmptyStr",
    "NotFound",
    "Operation",
    "Page",
    "Passwords",
    "RequestModel",
    "ResponseModel",
    "SecondStepRequired",
    "Service",
    "SessionRevoked",
    "Settings",
    "SettingsError",
    "SignedInUser",
    "TokenError",
    "TokenExpired",
    "TokenInvalid",
    "TokenMissing",
    "TokenVerifier",
    "Unavailable",
    "UseDPoPNonce",
    "User",
    "UserStore",
    "__version__",
    "build_app",
    "create_app",
    "failure_handlers",
    "failure_response",
    "iso",
    "json_response",
    "load_settings",
    "metadata",
    "no_content",
    "on_bearer_error",
    "read_body",
    "read_page",
    "requires",
]

_MODULES = {
    "app": "build_app create_app",
    "auth": "Auth",
    "errors": "BadCredentials BadRequest Challenge Failure Forbidden IdempotencyMismatch "
    "InvalidProof NotFound SecondStepRequired SessionRevoked TokenError TokenExpired "
    "TokenInvalid TokenMissing Unavailable UseDPoPNonce",
    "http.bearer": "BearerAuthenticator",
    "http.bodies": "read_body",
    "http.exception_handlers": "failure_handlers",
    "http.failure_response": "FailureResponse failure_response iso",
    "http.models": "NonEmptyStr RequestModel ResponseModel",
    "http.openapi": "BEARER_FAILURES BODY_FAILURES ID_PARAMETER Operation",
    "http.paging": "PAGE_PARAMETERS Page read_page",
    "http.responses": "json_response no_content",
    "http.requires": "requires",
    "http.sockets": "AuthSocket",
    "http.starlette_backend": "BearerBackend SignedInUser on_bearer_error",
    "service": "Service",
    "sessions.deliveries": "Delivery",
    "sessions.identities": "Identity IdentityStore",
    "sessions.passwords": "Hasher InvalidPasswordError Passwords",
    "sessions.user": "ClaimsHook User UserStore",
    "settings": "Settings SettingsError load_settings",
    "storage.database": "Database",
    "storage.schema": "metadata",
    "tokens.access_tokens": "Claims",
    "tokens.introspection_verifier": "IntrospectionVerifier",
    "tokens.jwks_verifier": "JWKSVerifier",
    "tokens.timed_proofs": "Call",
    "tokens.token_verifier": "TokenVerifier",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

if not TYPE_CHECKING:  # A type checker would take this for a promise of any name at all.

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
