"""Every option of a client, in one place, with its unit and its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from unexpired.dialect import Dialect
from unexpired.origins import allowed_origins, origin_of, resolve


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a client behaves.

    Attributes:
        base_url: where relative URLs are appended; empty: the page's own origin.
        login_url: the sign-in page, a path or a hash route such as ``#/login``.
        login_path: where a name and a password are exchanged for tokens.
        refresh_path: where a refresh token is exchanged for new tokens.
        logout_path: where a session is revoked; empty where the server cannot do that.
        dialect: how the server names things; a table of its attributes makes one.
        margin: how long before its end an access token is refreshed, in seconds; at most a
            quarter of the token's life.
        token_origins: further exact origins that may see the token.
        storage: where the browser keeps the session.
        storage_key: the name it is kept under.
        refresh_timeout: the longest that a refresh, or a call waiting for one, takes, in seconds.
        timeout: the longest that a call may take in all, in seconds; None for no bound.
        on_expired: what to do when a session ends: go to the sign-in page, or only say so.
        idempotency_keys: whether each POST gets an ``Idempotency-Key``, one for all its attempts.
        page_url: the address of the page, filled in by ``in_browser``; empty where there is none.

    Raises:
        ValueError: if a time is not positive, an origin is not exact, or the dialect has no such
            attribute.
    """

    base_url: str = ""
    login_url: str = "/login"
    login_path: str = "/api/login"
    refresh_path: str = "/api/refresh"
    logout_path: str = "/api/logout"
    dialect: Dialect = field(default_factory=Dialect)
    margin: float = 60
    token_origins: tuple[str, ...] = ()
    storage: Literal["local", "session", "memory"] = "local"
    storage_key: str = "unexpired"
    refresh_timeout: float = 10
    timeout: float | None = 30
    on_expired: Literal["redirect", "event"] = "redirect"
    idempotency_keys: bool = True
    page_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.margin < 0 or self.refresh_timeout <= 0 or (self.timeout or 1) <= 0:
            raise ValueError("margin, refresh_timeout and timeout are seconds, and positive")
        if self.storage not in {"local", "session", "memory"}:
            raise ValueError('storage is "local", "session" or "memory"')
        if self.on_expired not in {"redirect", "event"}:
            raise ValueError('on_expired is "redirect" or "event"')
        object.__setattr__(self, "dialect", Dialect.of(self.dialect))
        _ = self._trusted  # An inexact origin is a mistake to hear of at once.

    @cached_property
    def _trusted(self) -> frozenset[str]:
        return allowed_origins(
            base_url=self.base_url, page_url=self.page_url, further=self.token_origins
        )

    def resolve(self, url: str) -> str:
        """Return the absolute URL that a call goes to.

        Raises:
            ValueError: if the URL holds what browsers read in ways of their own.
        """
        return resolve(url, base_url=self.base_url, page_url=self.page_url)

    def trusts(self, url: str) -> bool:
        """Whether an absolute URL may see the token."""
        return origin_of(url) in self._trusted
