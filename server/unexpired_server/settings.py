"""All settings in one typed class, read from flags, ``UNEXPIRED_…`` variables or defaults."""

from __future__ import annotations

import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from limits import parse
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from unexpired.secret_strength import weaknesses

DAY = 86_400.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DEMO: dict[str, Any] = {
    "access_ttl": 20,
    "leeway": 0,
    "sign_in_limit": "",
    "signup": True,
    "database_url": "sqlite+aiosqlite:///data/demo.sqlite3",
    "keys_file": Path("data/demo-keys.json"),
}
"""Defaults that ``--demo`` changes; the demo never touches the real data."""


def _split(value: object) -> object:
    return value.replace(",", " ").split() if isinstance(value, str) else value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values in one variable, separated by commas or spaces."""


def _split_secrets(value: object) -> object:
    if isinstance(value, str) and value.lstrip().startswith("["):
        return json.loads(value)
    return _split(value)


CommaSeparatedSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_secrets)]
"""The same of secrets, or a JSON list, because a secret may contain commas and spaces."""

Algorithm = Literal["HS256", "EdDSA", "ES256"]
LogLevel = Literal["debug", "info", "warning", "error"]
DPoP = Literal["refresh", "all", "off"]

PUBLIC_URL = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?(/[a-z0-9._~-]+)*", re.IGNORECASE
)
"""An origin, and the path that a proxy serves the API under, if any."""

NOT_IN_HOSTS = frozenset("/*?#@")

LONGEST_ISSUER = 255
"""In characters: so much the table of identities holds."""


class Settings(BaseSettings):
    """How one server behaves. Each name is also the variable ``UNEXPIRED_<NAME>``."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="UNEXPIRED_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 takes any free one."""
    workers: int = Field(default=1, ge=1, le=64)
    """How many worker processes serve requests."""
    database_url: str = Field(default="sqlite+aiosqlite:///data/unexpired.sqlite3", repr=False)
    """The database with users and sessions: SQLite, or PostgreSQL with the extra ``postgres``."""
    pool_size: int = Field(default=15, ge=1, le=1000)
    """How many connections to the database each worker may open."""
    secret: SecretStr | None = None
    """The signing key, as ``unexpired-server secret`` prints it; without one, the keys file."""
    previous_secrets: CommaSeparatedSecrets = ()
    """Other values of the secret, whose tokens are valid while the secret is being replaced."""
    keys_file: Path = Path("data/keys.json")
    """The file with the signing keys; created on the first start when there is no secret."""
    algorithm: Algorithm = "HS256"
    """How access tokens are signed; with EdDSA and ES256 other services can verify by our JWKS."""
    access_ttl: int = Field(default=900, ge=1, le=int(DAY))
    """Lifetime of an access token, in seconds."""
    refresh_idle_ttl: float = Field(default=7 * DAY, ge=1, allow_inf_nan=False)
    """How long a session lives without a refresh, in seconds."""
    refresh_absolute_ttl: float = Field(default=30 * DAY, ge=1, allow_inf_nan=False)
    """Maximum age of a session, in seconds."""
    sessions_per_user: int = Field(default=100, ge=1, le=10_000)
    """How many sessions a user may have; one more ends the one that was used longest ago."""
    refresh_grace: float = Field(default=30, ge=0, allow_inf_nan=False)
    """How long a just-used refresh token may be presented again, in seconds."""
    refresh: bool = True
    """Whether to issue refresh tokens; without them a session ends with its access token."""
    rotation: bool = True
    """Whether each refresh replaces the refresh token."""
    leeway: float = Field(default=60, ge=0, le=600)
    """Clock tolerance when verifying access tokens, in seconds."""
    issuer: str = Field(default="unexpired", min_length=1)
    """The ``iss`` claim of our access tokens."""
    audience: str = Field(default="unexpired", min_length=1)
    """The ``aud`` claim of our access tokens."""
    client_id: str = Field(default="unexpired", min_length=1)
    """The ``client_id`` claim of our access tokens (RFC 9068); not checked when one is verified."""
    cors_origins: CommaSeparated = ()
    """Other origins whose pages may call the API, exactly as browsers send them."""
    dpop: DPoP = "refresh"
    """Which requests need proof of the key that their session is bound to (DPoP, RFC 9449):
    ``refresh``, or ``all`` for access tokens, too; ``off`` binds no session. A session is bound
    when its sign-in has a proof."""
    dpop_required: bool = False
    """Whether to refuse sign-ins without a proof, from clients that cannot bind a session."""
    public_url: str | None = None
    """The URL that clients use for this server, such as https://api.example, with the path that a
    proxy serves it under; the requests' ``Host`` where it is not given."""
    cookies: bool = False
    """Whether a sign-in may ask for its refresh token in a cookie, out of reach of scripts."""
    strict_rfc6750: bool = False
    """Whether an invalid token gets 401, as RFC 6750 says, in place of 403."""
    trusted_proxies: CommaSeparated = ()
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are used;
    ``unix:`` stands for a proxy on a Unix socket."""
    rate_limit_url: str | None = Field(default=None, repr=False)
    """A Redis URL, to share rate limits between nodes, and with ``dpop`` ``all`` which proofs were
    used; needs the extra ``redis``."""
    login_limit: str = "10 per 5 minutes"
    """How many failed sign-ins an account may have from one address; no limit when empty."""
    account_limit: str = "100 per hour"
    """How many failed sign-ins an account may have from all addresses together; those that it has
    signed in from before are exempt. No limit when empty."""
    address_limit: str = "100 per 5 minutes"
    """How many failed sign-ins, and how many forged refresh tokens, an address may send; accounts
    that have signed in from it before are exempt. No limit when empty."""
    sign_in_limit: str = "300 per hour"
    """How many times an account may sign in; no limit when empty, as in the demo."""
    refresh_limit: str = "300 per minute"
    """How many times a session may be refreshed; no limit when empty."""
    signup: bool = False
    """Whether people may create accounts of their own."""
    signup_limit: str = "20 per hour"
    """How many accounts may be created from an address; attempts with a name that is taken count
    too. No limit when empty."""
    forgot_limit: str = "5 per 30 minutes"
    """How many links for a forgotten password an account is sent; no limit when empty. Further
    requests get the same response."""
    login_with: str | None = None
    """The issuer of an OpenID Connect provider that people may sign in with, exactly as it names
    itself; needs ``login_with_client_id`` and ``public_url``."""
    login_with_client_id: str = ""
    """What the provider calls this server."""
    login_with_client_secret: SecretStr | None = None
    """The secret that the provider gave this server, if it did."""
    login_with_scope: str = "openid profile email"
    """What the provider is asked for; ``openid`` is part of it."""
    login_with_label: str = ""
    """The provider's name for people; the host of its issuer when empty."""
    keep_alive: float = Field(default=75, gt=0, le=DAY)
    """How long an idle connection stays open, in seconds; longer than a proxy in front keeps it."""
    max_connections: int | None = Field(default=None, ge=8, le=1_000_000)
    """How many connections each worker keeps open; by default as the limit of open files allows."""
    drain_seconds: float = Field(default=0, ge=0, le=600)
    """How long the server still accepts requests after SIGTERM, and says that it is not ready."""
    log_level: LogLevel = "info"
    """The least severe lines that are logged: debug, info, warning or error."""
    log_sample: float = Field(default=1, ge=0, le=1)
    """The share of successful requests that are logged; failures always are."""
    page_dir: Path | None = None
    """The folder of a page to serve: index.html, app/ and vendor/, or the output of
    ``make site``; needs the extra ``page``."""
    demo: bool = False
    """Whether to run a demonstration: a known user, short-lived tokens, loopback only."""

    @model_validator(mode="before")
    @classmethod
    def _demo_defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        is_demo = str(values.get("demo", "")).lower() in {"1", "true", "yes", "on", "t", "y"}
        return {**DEMO, **values} if is_demo else values

    @field_validator("secret")
    @classmethod
    def _strong(cls, secret: SecretStr | None) -> SecretStr | None:
        reasons = weaknesses(secret.get_secret_value()) if secret is not None else []
        if reasons:
            raise ValueError(
                f"is too weak: {' and '.join(reasons)}. Make a good one: unexpired-server secret"
            )
        return secret

    @field_validator("previous_secrets")
    @classmethod
    def _all_strong(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        # One weak secret that verifies is as bad as one that signs.
        if any(weaknesses(secret.get_secret_value()) for secret in secrets):
            raise ValueError("has one that is too weak to be accepted")
        return secrets

    @field_validator(
        "login_limit",
        "account_limit",
        "address_limit",
        "sign_in_limit",
        "refresh_limit",
        "signup_limit",
        "forgot_limit",
    )
    @classmethod
    def _rates(cls, rate: str) -> str:
        try:
            _ = rate and parse(rate)
        except ValueError:
            raise ValueError("must be a rate, such as 10 per 5 minutes") from None
        return rate

    @field_validator("rate_limit_url")
    @classmethod
    def _redis_urls(cls, url: str | None) -> str | None:
        if url and not url.startswith(("redis://", "rediss://")):
            raise ValueError("must be a Redis URL, such as redis://127.0.0.1:6379/0")
        return url or None

    @field_validator("public_url")
    @classmethod
    def _public_urls(cls, url: str | None) -> str | None:
        return checked_public_url(url) if url else None

    @field_validator("login_with")
    @classmethod
    def _issuers(cls, issuer: str | None) -> str | None:
        if not issuer:
            return None
        is_url = PUBLIC_URL.fullmatch(issuer.removesuffix("/")) and _can_be_read(issuer)
        if not is_url or len(issuer) > LONGEST_ISSUER or _is_open_to_the_network(issuer):
            raise ValueError("must be the https URL of the issuer, exactly as it names itself")
        return issuer

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                _ = proxy == "unix:" or ip_network(proxy)
            except ValueError:
                raise ValueError(
                    "must be IP addresses or networks, such as 127.0.0.1 or 10.0.0.0/8"
                ) from None
        return proxies

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, found, host = origin.partition("://")
            is_one = scheme in {"http", "https"} and found and host
            is_exact = is_one and not set(host) & NOT_IN_HOSTS
            if not is_exact or not _can_be_read(origin):
                raise ValueError("must be exact origins, such as https://app.example")
        return origins

    @model_validator(mode="after")
    def _secrets_are_for_hmac(self) -> Self:
        if self.secret is not None and self.algorithm != "HS256":
            raise ValueError(
                f"a secret signs with HS256; for {self.algorithm} leave the secret out, and the "
                "keys file will hold the private key"
            )
        return self

    @model_validator(mode="after")
    def _required_proofs_are_read(self) -> Self:
        if self.dpop_required and self.dpop == "off":
            raise ValueError("the setting dpop_required needs dpop=refresh or dpop=all")
        return self

    @model_validator(mode="after")
    def _cookies_can_be_kept(self) -> Self:
        if self.cookies and not self.refresh:
            raise ValueError("cookies hold the refresh token, so they need refresh=on")
        if self.cookies and self.public_url and _is_open_to_the_network(self.public_url):
            raise ValueError("browsers keep the cookie only with https: public_url has http")
        return self

    @model_validator(mode="after")
    def _providers_know_us(self) -> Self:
        if not self.login_with:
            return self
        if not self.login_with_client_id:
            raise ValueError("the setting login_with needs login_with_client_id")
        if not self.public_url:
            raise ValueError(
                "the setting login_with needs public_url: the provider sends people back to it"
            )
        if "openid" not in self.login_with_scope.split():
            raise ValueError("the setting login_with_scope needs openid in it")
        return self

    @model_validator(mode="after")
    def _demo_on_loopback(self) -> Self:
        if self.demo and self.host not in LOOPBACK:
            raise ValueError("the demo has a known password, so it listens on loopback only")
        return self


class SettingsError(Exception):
    """The server cannot start with these settings; the message is one sentence for people."""


def load_settings(**flags: object) -> Settings:
    """Return the settings; flags win over the environment.

    Args:
        **flags: Settings by name; None means not given.

    Raises:
        SettingsError: A setting is unknown, malformed or unsafe.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as exc:
        raise SettingsError("; ".join(map(_sentence, exc.errors()))) from None


def checked_public_url(url: str) -> str:
    """Return the URL that clients use for a server, without a slash at its end.

    Raises:
        ValueError: It is no such URL.
    """
    url = url.removesuffix("/")
    if not PUBLIC_URL.fullmatch(url) or not _can_be_read(url):
        raise ValueError(
            "must be the URL that clients use, such as https://api.example, without a query"
        )
    return url


def _can_be_read(url: str) -> bool:
    """Return whether the host's brackets and the port of a URL are what they must be."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return False
    return True


def _is_open_to_the_network(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"][:1]) or "settings"
    reason = error["msg"].removeprefix("Value error, ")
    return f"Setting {name}: {reason}" if error["loc"] else reason[0].upper() + reason[1:]
