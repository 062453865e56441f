"""FastAPI with PyJWT, as in FastAPI's tutorial; VERIFY=0 skips verification."""

from __future__ import annotations

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

SECRET = bytes.fromhex(os.environ["SECRET_HEX"])
app = FastAPI()


async def verified(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """Return the user's id from a verified token."""
    try:
        claims = jwt.decode(
            given.credentials, SECRET, ["HS256"], audience="unexpired", issuer="unexpired"
        )
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    return str(claims["sub"])


async def trusted() -> str:
    """Return a fixed user id."""
    return "0" * 32


user_id = trusted if os.environ.get("VERIFY") == "0" else verified


@app.get("/api/me")
async def me(user: Annotated[str, Depends(user_id)]) -> dict[str, str]:
    """Return the current user."""
    return {"id": user, "username": "ada"}
