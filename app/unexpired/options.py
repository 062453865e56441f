"""Every option of a client, with its unit and its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from unexpired.dialect import Dialect
from unexpired.origins import allowed_origins, origin_of, resolve

MIN_EXCHANGE_TIMEOUT = 60.0  # s


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a client.

    Attributes:
        base_url: The URL that relative URLs are appended to; empty for the page's own origin.
        login_url: The sign-in page, a path or a hash route such as ``#/login``.
        login_path: Where a username and a password are exchanged for tokens.
        refresh_path: Where a refresh token is exchanged for new tokens.
        logout_path: Where a session is revoked; empty if the server cannot do that.
        dialect: The server's field names and error codes; a table of its attributes makes one.
        margin: How long before its end an access token is refreshed, in seconds; at most a
            quarter of the token's lifetime.
        token_origins: Further exact origins that may see the token.
        storage: Where the browser keeps the session.
        storage_key: The name the session is stored under.
        refresh_timeout: The longest that a request waits for a refresh, in seconds. The refresh
            itself goes on, and its result is used.
        timeout: The longest that a request may take in total, in seconds; None for no limit.
        on_expired: What happens when a session ends: a redirect to the sign-in page, or only the
            event.
        idempotency_keys: Whether each POST gets an ``Idempotency-Key``, one for all its attempts;
            None: only with this project's own dialect. Of another origin, a server that does not
            know the header may refuse it (CORS).
        page_url: The address of the page, set by ``in_browser``; empty if there is none.

    Raises:
        ValueError: If a time is not positive, an origin is not exact, or the dialect has no such
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
    idempotency_keys: bool | None = None
    page_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.margin < 0 or self.refresh_timeout <= 0 or (self.timeout or 1) <= 0:
            raise ValueError("margin, refresh_timeout and timeout are seconds, and positive")
        if self.storage not in {"local", "session", "memory"}:
            raise ValueError('storage is "local", "session" or "memory"')
        if self.on_expired not in {"redirect", "event"}:
            raise ValueError('on_expired is "redirect" or "event"')
        object.__setattr__(self, "dialect", Dialect.of(self.dialect))
        _ = self._trusted  # Raises at once if an origin is not exact.

    @cached_property
    def _trusted(self) -> frozenset[str]:
        return allowed_origins(
            base_url=self.base_url, page_url=self.page_url, further=self.token_origins
        )

    @property
    def exchange_timeout(self) -> float:
        """How long a request for tokens may take, in seconds: longer than any caller waits.

        The server may have issued the tokens already, so the response is used however late.
        """
        return max(MIN_EXCHANGE_TIMEOUT, 3 * self.refresh_timeout)

    @cached_property
    def sends_idempotency_keys(self) -> bool:
        """Whether each POST gets an ``Idempotency-Key``."""
        return self.dialect.is_own if self.idempotency_keys is None else self.idempotency_keys

    def resolve(self, url: str) -> str:
        """Return the absolute URL that a request goes to.

        Raises:
            ValueError: If the URL has characters that browsers drop or replace.
        """
        return resolve(url, base_url=self.base_url, page_url=self.page_url)

    def trusts(self, url: str) -> bool:
        """Return whether an absolute URL may see the token."""
        return origin_of(url) in self._trusted
