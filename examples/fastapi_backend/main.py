"""An ordinary FastAPI back end with OAuth 2.0's password flow. It knows nothing of Unexpired.

One token endpoint (RFC 6749, sections 4.3, 5 and 6); every other route answers a bad token with a
plain 401. Run it from the root of the repository with

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
PAGES = ("http://127.0.0.1:8000",)  # The origins that pages may call from.

Bearer = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="token"))]


@dataclass
class Accounts:
    """Who there is and who is signed in, in memory: a database's place in a real application."""

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
        """Return whose access token this is.

        Raises:
            PyJWTError: if it is nobody's, or its time is over.
        """
        # PyJWT reads a clock of its own, so the time is checked here.
        claims = jwt.decode(
            token, self.key, ["HS256"], options={"verify_exp": False, "verify_iat": False}
        )
        if claims["exp"] <= self.now():
            raise jwt.ExpiredSignatureError
        return str(claims["sub"])


router = APIRouter()


def accounts_of(request: Request) -> Accounts:
    """Return the accounts of the application that was asked."""
    accounts: Accounts = request.app.state.accounts
    return accounts


Known = Annotated[Accounts, Depends(accounts_of)]


def current_user(token: Bearer, accounts: Known) -> str:
    """Return who is asking, or answer 401."""
    try:
        return accounts.user_of(token)
    except jwt.PyJWTError:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None


@router.post("/token")
async def token(request: Request, accounts: Known) -> Response:
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
async def revoke(request: Request, accounts: Known) -> Response:
    """Forget a refresh token; one that is unknown is as good as revoked (RFC 7009, section 2.2)."""
    accounts.refresh_tokens.pop((await _form(request)).get("token", ""), None)
    return Response()


@router.get("/users/me")
async def me(user: Annotated[str, Depends(current_user)]) -> dict[str, str]:
    """Say who is asking."""
    return {"username": user}


async def _form(request: Request) -> dict[str, str]:
    # FastAPI's own Form needs python-multipart; these two endpoints have plain fields alone.
    return dict(parse_qsl((await request.body()).decode()))


def _refused(error: str) -> Response:
    # RFC 6749, section 5.2
    return JSONResponse({"error": error}, 400, headers={"Cache-Control": "no-store"})


def create_app(now: Callable[[], float] = time.time, pages: Sequence[str] = PAGES) -> FastAPI:
    """Return the application.

    Args:
        now: tells the time, in Unix seconds.
        pages: the exact origins that pages may call from.
    """
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware, allow_origins=pages, allow_methods=["*"], allow_headers=["*"]
    )
    app.state.accounts = Accounts(now)
    app.include_router(router)
    return app
