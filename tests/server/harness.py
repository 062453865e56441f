"""What the server's tests share: a server in memory, and forged tokens."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from argon2 import PasswordHasher
from starlette.applications import Starlette

from tests.support.clock import START, FakeClock
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.users import Users
from unexpired_server.settings import Settings
from unexpired_server.storage.database import Database
from unexpired_server.tokens import base64url
from unexpired_server.tokens.keys import Key, KeyRing, load_ring

PASSWORD = "correct horse"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class RawResponse:
    """What the application sent, without an HTTP client in between."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass
class TestServer:
    """One running application, and an HTTP client for it."""

    __test__ = False

    app: Starlette
    settings: Settings
    clock: FakeClock
    http: httpx.AsyncClient
    ring: KeyRing = field(init=False)

    def __post_init__(self) -> None:
        self.ring = load_ring(self.settings)

    async def login(self, username: str = "ada", password: str = PASSWORD) -> httpx.Response:
        body = {"username": username, "password": password}
        return await self.http.post("/api/login", json=body)

    async def sign_in(self, username: str = "ada") -> dict[str, Any]:
        response = await self.login(username)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    async def refresh(self, token: object, attempt: object = None) -> httpx.Response:
        body = {"refreshToken": token} | ({} if attempt is None else {"attempt": attempt})
        return await self.http.post("/api/refresh", json=body)

    async def refreshed(self, token: object, attempt: object = None) -> dict[str, Any]:
        response = await self.refresh(token, attempt)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.json()
        return tokens

    async def me(self, access_token: str) -> httpx.Response:
        return await self.http.get("/api/me", headers=bearer(access_token))

    async def raw(
        self,
        method: str,
        path: str,
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> RawResponse:
        """Send bytes that an HTTP client would refuse to send."""
        return await call(self.app, method, path, headers or [], [body])

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Valid claims for now, with changes; None removes a claim."""
        now = int(self.clock())
        good = {
            "iss": self.settings.issuer,
            "aud": self.settings.audience,
            "sub": "0" * 32,
            "sid": "1" * 32,
            "iat": now,
            "exp": now + self.settings.access_ttl,
            "jti": "j",
        }
        return {name: v for name, v in {**good, **changes}.items() if v is not None}

    def header(self, **changes: Any) -> dict[str, Any]:
        """A valid header, with changes; None removes a member."""
        good = {"alg": "HS256", "kid": self.ring.active.kid, "typ": "at+jwt"}
        return {name: v for name, v in {**good, **changes}.items() if v is not None}

    def forge(
        self, header: object = None, claims: object = None, *, secret: bytes | None = None
    ) -> str:
        """Sign any header and claims (objects, or JSON as bytes) with the server's key."""
        parts = (
            self.header() if header is None else header,
            self.claims() if claims is None else claims,
        )
        return sign(*parts, secret=secret or self.ring.active.secret)

    async def code(self, token: str) -> tuple[int, str]:
        """The status and the code of a protected route's response to a token."""
        response = await self.raw(
            "GET", "/api/notes", [(b"authorization", f"Bearer {token}".encode())]
        )
        return response.status, response.json.get("code", "")


class StartServer(Protocol):
    """Starts a server; those of one test share a database and a clock."""

    async def __call__(self, **settings: Any) -> TestServer: ...


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def sign(header: object, claims: object, *, secret: bytes, digest: str = "sha256") -> str:
    message = f"{_segment(header)}.{_segment(claims)}"
    signature = hmac.digest(secret, message.encode(), digest)
    return f"{message}.{base64url.encode(signature)}"


def _segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64url.encode(raw)


def other_key(kid: str = "ab" * 8) -> Key:
    return Key(kid=kid, secret=hashlib.sha256(b"another").digest())


async def call(  # noqa: PLR0913 - an ASGI request has these parts
    app: Starlette,
    method: str,
    path: str,
    headers: Headers,
    chunks: list[bytes],
    *,
    hang: bool = False,
) -> RawResponse:
    """Call the application: send the chunks, then hang if asked to; collect the response."""
    sent: list[dict[str, Any]] = []
    pending = list(chunks)

    async def receive() -> dict[str, Any]:
        if pending:
            body = pending.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(pending) or hang}
        if hang:
            await never()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode("latin-1"),
        "headers": headers,
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 9),
        "root_path": "",
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return RawResponse(sent[0]["status"], httpx.Headers(sent[0]["headers"]), body)


async def never() -> None:
    await asyncio.Event().wait()


async def add_user(settings: Settings, username: str, password: str = PASSWORD) -> None:
    database = Database(settings.database_url)
    try:
        await database.migrate()
        await Users(database).add(username, Passwords(HASHER).hash(password), START)
    finally:
        await database.close()
