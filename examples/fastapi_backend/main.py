"""An ordinary FastAPI back end with OAuth 2.0's password flow. It does not use Unexpired.

It has one token endpoint (RFC 6749, sections 4.3, 5 and 6); every other route responds to a bad
token with a plain 401. Run it from the root of the repository with

    uvicorn --factory examples.fastapi_backend.main:create_app --port 8001

and point a page at it with ``AsyncClient.in_browser(base_url="http://127.0.0.1:8001",
login_path="/token", refresh_path="/token", logout_path="/revoke", dialect=Dialect.oauth())``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer

ACCESS_TTL = 300  # s
PAGES = ("http://127.0.0.1:8000",)  # The origins of the pages that may call it.

Bearer = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]


@dataclass
class Accounts:
    """The users and their refresh tokens, in memory; a real application has a database."""

    now: Callable[[], float]
    passwords: dict[str, str] = field(default_factory=lambda: {"ada": "correct horse"})
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def check(self, username: str, password: str) -> str | None:
        """Return the user if the password is theirs."""
        known = self.passwords.get(username, "")
        is_theirs = secrets.compare_digest(known.encode(), password.encode())
        return username if known and is_theirs else None

    def issue(self, user: str) -> dict[str, Any]:
        """Return new tokens (RFC 6749, section 5.1)."""
        refresh_token = secrets.token_urlsafe(32)
        self.refresh_tokens[refresh_token] = user
        claims = {"sub": user, "iat": int(self.now()), "exp": int(self.now()) + ACCESS_TTL}
        return {
            "access_token": jwt.encode(claims, self.key),
            "token_type": "bearer",
            "expires_in": ACCESS_TTL,
            "refresh_token": refresh_token,
        }

    def user_of(self, token: str) -> str:
        """Return the user of an access token.

        Raises:
            PyJWTError: If the token is not ours, or has expired.
        """
        # PyJWT reads the system clock, so the expiry is checked here, by ``now``.
        claims = jwt.decode(
            token, self.key, ["HS256"], options={"verify_exp": False, "verify_iat": False}
        )
        if claims["exp"] <= self.now():
            raise jwt.ExpiredSignatureError
        return str(claims["sub"])


router = APIRouter()


def accounts_of(request: Request) -> Accounts:
    """Return the accounts of the application."""
    accounts: Accounts = request.app.state.accounts
    return accounts


CurrentAccounts = Annotated[Accounts, Depends(accounts_of)]


def current_user(token: Bearer, accounts: CurrentAccounts) -> str:
    """Return the current user, or respond with 401."""
    try:
        return accounts.user_of(token)
    except jwt.PyJWTError:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None


@router.post("/token")
async def token(request: Request, accounts: CurrentAccounts) -> Response:
    """Exchange a password, or a refresh token, for tokens."""
    form = await _form(request)
    match form.get("grant_type"):
        case "password":
            user = accounts.check(form.get("username", ""), form.get("password", ""))
        case "refresh_token":
            user = accounts.refresh_tokens.pop(form.get("refresh_token", ""), None)
        case _:
            return _refused("unsupported_grant_type")
    if user is None:
        return _refused("invalid_grant")
    return JSONResponse(accounts.issue(user), headers={"Cache-Control": "no-store"})


@router.post("/revoke")
async def revoke(request: Request, accounts: CurrentAccounts) -> Response:
    """Remove a refresh token; an unknown one counts as revoked (RFC 7009, section 2.2)."""
    accounts.refresh_tokens.pop((await _form(request)).get("token", ""), None)
    return Response()


@router.get("/users/me")
async def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    """Return the current user."""
    return {"username": user}


async def _form(request: Request) -> dict[str, str]:
    # FastAPI's Form needs python-multipart; these two endpoints only have plain fields.
    return dict(parse_qsl((await request.body()).decode()))


def _refused(error: str) -> Response:
    # RFC 6749, section 5.2
    return JSONResponse({"error": error}, 400, headers={"Cache-Control": "no-store"})


def create_app(now: Callable[[], float] = time.time, pages: Sequence[str] = PAGES) -> FastAPI:
    """Return the application.

    Args:
        now: Returns the time, in Unix seconds.
        pages: The exact origins of the pages that may call it.
    """
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware, allow_origins=pages, allow_methods=["*"], allow_headers=["*"]
    )
    app.state.accounts = Accounts(now)
    app.include_router(router)
    return app
