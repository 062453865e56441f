"""fastapi-users with a bearer transport and JWTs."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase

SECRET, PASSWORD = os.environ["SECRET"], os.environ["PASSWORD"]


@dataclass
class User:
    """A user as fastapi-users wants one."""

    email: str
    hashed_password: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = True


class Users(BaseUserDatabase[User, uuid.UUID]):
    """Users in memory."""

    def __init__(self) -> None:
        self.users: dict[uuid.UUID, User] = {}

    async def get(self, id: uuid.UUID) -> User | None:  # noqa: A002 - theirs
        return self.users.get(id)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.users.values() if user.email == email), None)

    async def create(self, create_dict: dict[str, Any]) -> User:
        user = User(**create_dict)
        self.users[user.id] = user
        return user

    async def update(self, user: User, update_dict: dict[str, Any]) -> User:
        for name, value in update_dict.items():
            setattr(user, name, value)
        return user


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    """Their rules."""

    reset_password_token_secret = verification_token_secret = SECRET


users = Users()


async def get_user_manager() -> AsyncIterator[UserManager]:
    yield UserManager(users)


backend: AuthenticationBackend[User, uuid.UUID] = AuthenticationBackend(
    name="jwt",
    transport=BearerTransport(tokenUrl="/auth/jwt/login"),
    get_strategy=lambda: JWTStrategy(secret=SECRET, lifetime_seconds=300),
)
fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
app = FastAPI()
app.include_router(
    fastapi_users.get_auth_router(backend, requires_verification=True), prefix="/auth/jwt"
)
app.include_router(
    fastapi_users.get_register_router(schemas.BaseUser[uuid.UUID], schemas.BaseUserCreate),
    prefix="/auth",
)
Active = Depends(fastapi_users.current_user(active=True))
Superuser = Depends(fastapi_users.current_user(active=True, superuser=True))


@app.get("/me")
async def me(user: User = Active) -> dict[str, str]:
    return {"username": user.email}


@app.get("/admin")
async def admin(user: User = Superuser) -> dict[str, str]:
    return {"username": user.email}


@app.get("/test/{what}")
async def change(what: str) -> None:
    """Do to ada what an administrator may."""
    ada = await users.get_by_email("ada@example.com")
    if ada is None:
        hashed = UserManager(users).password_helper.hash(PASSWORD)
        ada = await users.create({"email": "ada@example.com", "hashed_password": hashed})
    ada.is_active, ada.is_verified = what != "disable", what != "unverify"
    if what == "delete":
        users.users.clear()


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])
