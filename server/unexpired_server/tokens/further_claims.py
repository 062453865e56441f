"""Claims that an application adds to access tokens."""

from __future__ import annotations

import json
from collections.abc import Mapping

from unexpired_server.tokens import strict_json

RESERVED = frozenset(
    {
        *("iss", "aud", "sub", "sid", "client_id", "iat", "nbf", "exp", "jti"),
        *("scope", "cnf", "typ"),
    }
)
"""The claims that only the server sets."""


def check_further(claims: object) -> None:
    """Check claims that an application adds; no message quotes a value.

    Raises:
        TypeError: They are no mapping with names of text.
        ValueError: A name is reserved, or JSON cannot express a value.
    """
    if not isinstance(claims, Mapping):
        raise TypeError(f"claims= must return a mapping, not {type(claims).__name__}")
    for name, value in claims.items():
        _check_claim(name, value)


def _check_claim(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a claim's name is text, not {type(name).__name__}")
    if name in RESERVED:
        raise ValueError(f"the claim {name!r} is set by the server: use another name")
    try:
        # As verifiers read it: strictly.
        strict_json.read_object(json.dumps({name: value}, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"JSON cannot express the claim {name!r}") from None
