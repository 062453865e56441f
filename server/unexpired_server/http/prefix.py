"""Under which path an application has our routes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Mount, Route

DEFAULT_PREFIX = "/api"
"""What the routes' own paths begin with."""

SYNTAX: re.Pattern[str] = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
"""Segments of unreserved characters (RFC 3986, section 2.3); none is a dot segment."""


def checked_prefix(prefix: str) -> str:
    """Return a prefix for paths: "" or such as ``/auth`` or ``/v1/api``.

    Raises:
        TypeError: It is not text.
        ValueError: It is no such prefix.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix is text, not {type(prefix).__name__}")
    if SYNTAX.fullmatch(prefix):
        return prefix
    if prefix == "/":
        raise ValueError('prefix="/" is written prefix=""')
    raise ValueError(
        f"prefix={prefix!r}: a prefix begins with a slash, does not end with one, and its segments "
        "are letters, digits and . _ ~ -, such as /auth or /v1/api"
    )


def with_prefix(path: str, prefix: str) -> str:
    """Return the path of one of our routes under another prefix than its own."""
    return prefix + path.removeprefix(DEFAULT_PREFIX)


def check_reachable(ours: Iterable[Route], before: Iterable[BaseRoute]) -> None:
    """Check that none of an application's patterns takes the requests of our routes.

    A route of the application's with exactly our path is its own choice.

    Args:
        ours: Our routes.
        before: The routes that are asked before them.

    Raises:
        RuntimeError: One would.
    """
    patterns = [one for one in before if isinstance(one, Mount | Route)]
    for route in ours:
        for one in patterns:
            if one.path != route.path and _takes_from(one, route):
                raise RuntimeError(
                    f"Call install() before {one.path or '/'!r} is added: it would answer "
                    f"{route.path} in place of the server"
                )


def _takes_from(pattern: BaseRoute, route: Route) -> bool:
    path = route.path.replace("{", "").replace("}", "")
    scope = {"type": "http", "path": path, "headers": []}
    methods = route.methods or ()
    return any(pattern.matches(scope | {"method": one})[0] is Match.FULL for one in methods)
