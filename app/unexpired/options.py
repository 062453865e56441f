"""Every option of a client, with its unit and its default."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal, Self, TypedDict

from unexpired.content import headers_of
from unexpired.dialect import Dialect
from unexpired.errors import unknown_option
from unexpired.messages import Headers, Request, check_header
from unexpired.origins import allowed_origins, api_of, origin_of, resolve, storage_key_of
from unexpired.token_server import IdentityProvider

MIN_EXCHANGE_TIMEOUT = 60.0  # s

# As a default for all requests these would switch off what the client does for each of them.
NO_DEFAULTS = {
    "authorization": "would take the place of the session's token: give it to single requests",
    "content-type": "depends on the body, and is set with it",
    "idempotency-key": "is a new one for each request",
}

_UNNAMED = Dialect()
"""The default: this project's own, or that of an API which takes the tokens of a provider."""

Hooks = Mapping[Literal["request", "response"], Sequence[Callable[[Any], Any]]]
HOOK_NAMES = ("request", "response")


class ClientOptions(TypedDict, total=False):
    """The keyword options of every client, for type checkers; see ``Options``."""

    base_url: str
    login_url: str
    login_path: str
    refresh_path: str
    logout_path: str
    dialect: Dialect | Mapping[str, Any]
    provider: IdentityProvider | None
    draft: Callable[[], str] | None
    margin: float
    token_origins: Sequence[str]
    storage: Literal["local", "session", "memory", "cookie"]
    storage_key: str
    refresh_timeout: float
    timeout: float | None
    on_expired: Literal["redirect", "event"]
    idempotency_keys: bool | None
    dpop: Literal["auto", "off"]
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    event_hooks: Hooks
    page_url: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a client.

    Attributes:
        base_url: The URL that relative URLs are appended to; empty for the page's own origin.
        login_url: The sign-in page, a path or a hash route such as ``#/login``; ``/login`` by
            default. With a provider there need be none: the default is the provider's own page.
        login_path: Where a username and a password are exchanged for tokens.
        refresh_path: Where a refresh token is exchanged for new tokens.
        logout_path: Where a session is revoked; empty if the server cannot do that.
        dialect: The server's field names and error codes; a table of its attributes makes one.
            With a provider it is only the API's, and ``Dialect.bearer()`` by default.
        provider: Where people sign in, if not at the API: an ``unexpired.oidc.Provider``.
        draft: Returns what the person has begun and not saved, as a text, when the client is about
            to leave the page for the provider; ``take_draft()`` returns it afterwards, to the same
            person.
        margin: How long before its end an access token is refreshed, in seconds; at most a
            quarter of the token's lifetime.
        token_origins: Further exact origins that may see the token.
        storage: Where the browser keeps the session: for all tabs (``local``), for one tab and its
            reloads (``session``) or until the page closes (``memory``). A tab that is duplicated
            starts signed out with ``session``. With ``cookie`` no script sees the refresh token:
            the server keeps it in a cookie (its setting ``cookies``), and the page its access token
            in memory, so that a page that is opened refreshes first.
        storage_key: The name the session is stored under. By default it is ``unexpired`` for the
            page's own origin, and ``unexpired:`` with the API's address for any other API.
        refresh_timeout: The longest that a request waits for a refresh, in seconds. The refresh
            itself goes on, and its result is used.
        timeout: The longest wait for a response's head, and the longest silence within its body,
            in seconds; None for no limit. A download that keeps moving may take any time.
        on_expired: What happens when a session ends: a redirect to the sign-in page, or only the
            event.
        idempotency_keys: Whether each POST gets an ``Idempotency-Key``, one for all its attempts;
            None: only with this project's own dialect. Of another origin, a server that does not
            know the header may refuse it (CORS).
        dpop: Whether a sign-in binds its session to a key of this device (RFC 9449), so that
            stolen tokens cannot be refreshed elsewhere: ``auto`` where the dialect's server takes
            proofs, a key can be kept and the server binds sessions; ``off`` never. A session that
            is bound stays so.
        headers: Header fields of every request to the origins that may see the token, including
            those for tokens; a request's own win. No request to another origin has them. A redirect
            to one leaves them out in a program; in a page that origin may allow them (CORS).
        event_hooks: Functions to call, as in httpx: ``request`` ones with each ``Request`` before
            it is sent, without our token; ``response`` ones with each ``Response``. They are called
            once for each call of yours, however often it is sent. Their exceptions propagate.
            ``AsyncClient`` awaits coroutine functions; ``Client`` refuses them.
        page_url: The address of the page, set by ``in_browser``; empty if there is none.

    Raises:
        TypeError: If there is no such option, or a text or a number is something else.
        ValueError: If a time is not positive, ``base_url`` has no scheme, an origin is not exact,
            the dialect has no such attribute, or ``headers`` has one that is set for each request.
    """

    base_url: str = ""
    login_url: str = ""
    login_path: str = "/api/login"
    refresh_path: str = "/api/refresh"
    logout_path: str = "/api/logout"
    dialect: Dialect = _UNNAMED
    provider: IdentityProvider | None = None
    draft: Callable[[], str] | None = field(default=None, repr=False, hash=False)
    margin: float = 60
    token_origins: tuple[str, ...] = ()
    storage: Literal["local", "session", "memory", "cookie"] = "local"
    storage_key: str = ""
    refresh_timeout: float = 10
    timeout: float | None = 30
    on_expired: Literal["redirect", "event"] = "redirect"
    idempotency_keys: bool | None = None
    dpop: Literal["auto", "off"] = "auto"
    headers: Headers = field(default_factory=Headers, hash=False)
    event_hooks: Hooks = field(default_factory=dict, repr=False, hash=False)
    page_url: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._set_defaults()
        self._check_types()
        times = [self.refresh_timeout, 1 if self.timeout is None else self.timeout]
        if not 0 <= self.margin < math.inf or not all(0 < time < math.inf for time in times):
            raise ValueError("margin, refresh_timeout and timeout are seconds, and positive")
        if self.storage not in {"local", "session", "memory", "cookie"}:
            raise ValueError('storage is "local", "session", "memory" or "cookie"')
        if self.uses_cookie and not self.page_url:
            raise ValueError('storage="cookie" is for pages: a program has no cookies of a browser')
        if self.uses_cookie and self.provider is not None:
            raise ValueError('storage="cookie" is for this project\'s own server, not a provider')
        if self.on_expired not in {"redirect", "event"}:
            raise ValueError('on_expired is "redirect" or "event"')
        if self.dpop not in {"auto", "off"}:
            raise ValueError('dpop is "auto" or "off"')
        object.__setattr__(self, "headers", _default_headers(self.headers))
        object.__setattr__(self, "event_hooks", _hooks(self.event_hooks))
        _ = self.api, self._trusted  # Raises at once if an address is not exact.
        if not self.storage_key:
            key = storage_key_of(base_url=self.base_url, page_url=self.page_url)
            object.__setattr__(self, "storage_key", key)

    def _set_defaults(self) -> None:
        provider = self.provider
        if provider is not None and not isinstance(provider, IdentityProvider):
            raise TypeError("provider is an unexpired.oidc.Provider")
        if self.draft is not None and not callable(self.draft):
            raise TypeError("draft is a function")
        is_unnamed = self.dialect is _UNNAMED and provider is not None
        dialect = Dialect.bearer() if is_unnamed else Dialect.of(self.dialect)
        object.__setattr__(self, "dialect", dialect)
        if self.login_url == "" and provider is None:
            object.__setattr__(self, "login_url", "/login")

    def _check_types(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if isinstance(option.default, str) and not isinstance(value, str):
                raise TypeError(f"{option.name} is a text")
            is_absent = value is None and "None" in str(option.type)
            if _is_number(option.default) and not is_absent and not _is_number(value):
                raise TypeError(f"{option.name} is a number of seconds")

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Return these options; see the class.

        Raises:
            TypeError: If there is no such option; it names the closest one.
        """
        known = [option.name for option in fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(unknown_option(name, known))
        return cls(**options)

    @cached_property
    def api(self) -> str:
        """The API that the session belongs to, and its provider; empty if it is not known."""
        api = api_of(base_url=self.base_url, page_url=self.page_url)
        return api if self.provider is None else f"{api} {self.provider.name}"

    @cached_property
    def _trusted(self) -> frozenset[str]:
        return allowed_origins(
            base_url=self.base_url, page_url=self.page_url, further=self.token_origins
        )

    @property
    def exchange_timeout(self) -> float:
        """How long a request for tokens may take, in seconds: longer than any caller waits.

        The server may have issued the tokens already, so the response is used however late. With
        the cookie it is not: it would bring an older cookie back, which counts as a reuse.
        """
        if self.uses_cookie:
            return self.refresh_timeout
        return max(MIN_EXCHANGE_TIMEOUT, 3 * self.refresh_timeout)

    @property
    def uses_cookie(self) -> bool:
        """Whether the refresh token is in a cookie."""
        return self.storage == "cookie"

    @cached_property
    def sends_idempotency_keys(self) -> bool:
        """Whether each POST gets an ``Idempotency-Key``."""
        return self.dialect.is_own if self.idempotency_keys is None else self.idempotency_keys

    @cached_property
    def sends_proofs(self) -> bool:
        """Whether a sign-in proves a key that its session is then bound to."""
        takes = self.dialect.sends_proofs if self.provider is None else self.provider.dpop
        return self.dpop == "auto" and takes

    def proves_sign_in(self, request: Request) -> bool:
        """Return whether a request is the application's own sign-in, and proves a key."""
        return (
            request.auth == "sign_in"
            and self.sends_proofs
            and self.provider is None
            and "authorization" not in request.headers
            and self.trusts(request.url)
        )

    def resolve(self, url: str) -> str:
        """Return the absolute URL that a request goes to.

        Raises:
            ValueError: If the URL has characters that browsers drop or replace.
        """
        return resolve(url, base_url=self.base_url, page_url=self.page_url)

    def trusts(self, url: str) -> bool:
        """Return whether an absolute URL may see the token."""
        return origin_of(url) in self._trusted

    def with_headers(self, request: Request) -> Request:
        """Return the request with the client's own header fields, where it has none of its own."""
        if not self.headers or not self.trusts(request.url):
            return request
        for name in self.headers.keys() - request.headers.keys():
            request = request.with_header(name, self.headers[name])
        return request


def _default_headers(given: Any) -> Headers:
    headers = headers_of(given or {})
    for name, value in headers.items():
        check_header(name, value)
        if name in NO_DEFAULTS:
            raise ValueError(f"headers: {name} {NO_DEFAULTS[name]}")
    return headers


def _hooks(given: Any) -> Hooks:
    """Return a copy of the hooks by event.

    Raises:
        TypeError: If it is not a mapping of events to lists of functions.
        ValueError: If there is no such event.
    """
    if not isinstance(given, Mapping):
        raise TypeError('event_hooks is a mapping of "request" and "response" to functions')
    hooks: dict[Any, list[Any]] = {name: [] for name in HOOK_NAMES}
    for name, functions in given.items():
        if name not in HOOK_NAMES:
            raise ValueError(f'event_hooks: {name!r} is not "request" or "response"')
        if not isinstance(functions, Sequence) or not all(map(callable, functions)):
            raise TypeError(f"event_hooks: {name} is a list of functions")
        hooks[name] = [*functions]
    return hooks


def is_coroutine_function(hook: Any) -> bool:
    """Return whether calling it gives something to await, also for an object with ``__call__``."""
    call = getattr(type(hook), "__call__", None)  # noqa: B004 - for what it is, not whether it is
    return inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(call)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
