"""Where users come from: the built-in table, or the application that has its own."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from unexpired_server.errors import BadRequest, Failure, ServerFault, Unavailable
from unexpired_server.ops.background import log_fault
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.user import User, UserStore
from unexpired_server.sessions.users import Users

SECONDS = 10.0
"""How long an application may take to find a user, or the claims of one."""

SIGN_IN_SECONDS = 60.0
"""How long it may take to authenticate one, who may have to confirm it on another device."""

logger: logging.Logger = logging.getLogger("unexpired.server")


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a username and a password.

    Attributes:
        user: The user; None when something was wrong.
        account_id: The user that the username belongs to, also after a wrong password, where known.
    """

    user: User | None
    account_id: str | None = None


class Directory(Protocol):
    """Where users come from."""

    @property
    def is_own(self) -> bool:
        """Whether the application has its own table."""
        ...

    async def check(self, username: str, password: str, fields: Mapping[str, Any]) -> Checked:
        """Check a username and a password, as typed, and the further fields of a sign-in."""
        ...

    async def find(self, user_id: str) -> User | None:
        """Return the user as of now; None when gone or disabled."""
        ...

    async def name_of(self, user_id: str) -> str | None:
        """Return the name of a user to show; None when gone."""
        ...


class BuiltInDirectory:
    """The built-in table.

    Args:
        users: The table.
        passwords: Verifies passwords.
    """

    is_own = False

    def __init__(self, users: Users, passwords: Passwords) -> None:
        self._users = users
        self._passwords = passwords

    async def check(self, username: str, password: str, _fields: Mapping[str, Any]) -> Checked:
        """Check a username and a password; further fields are ignored."""
        account = await self._users.find(username)
        hashed = account.password_hash if account else None
        is_correct = await self._passwords.verify(password, hashed)
        return Checked(account if is_correct else None, account.id if account else None)

    async def find(self, user_id: str) -> User | None:
        """Return the user as of now; None when gone or disabled."""
        account = await self._users.enabled(user_id)
        return account.without_password() if account else None

    async def name_of(self, user_id: str) -> str | None:
        """Return the name of a user, mostly without a query."""
        return await self._users.username_of(user_id)


class OwnDirectory:
    """An application's own users.

    Its exceptions become ``Unavailable``, and are logged without their messages: those of databases
    quote passwords.

    Args:
        store: The users.

    Raises:
        TypeError: It lacks a method.
    """

    is_own = True

    def __init__(self, store: UserStore) -> None:
        for name in ("authenticate", "find"):
            if not callable(getattr(store, name, None)):
                raise TypeError(f"users= needs a method {name}: see UserStore")
        self._store = store
        self._signature = inspect.signature(store.authenticate)
        function = getattr(store.authenticate, "__func__", store.authenticate)
        # The names of the method's first parameters, such as `self`.
        self._taken = {*[*inspect.signature(function).parameters][:3]}

    async def check(self, username: str, password: str, fields: Mapping[str, Any]) -> Checked:
        """Check a username and a password, and the further fields that the store has a use for.

        Raises:
            BadRequest: A field that it needs is missing.
        """
        wanted = self._wanted(fields)
        try:
            self._signature.bind(username, password, **wanted)
        except TypeError:
            raise BadRequest("The sign-in lacks a field.") from None
        async with bounded("UserStore.authenticate", SIGN_IN_SECONDS):
            called = self._store.authenticate(username, password, **wanted)
            return Checked(_user("authenticate", await _awaitable("authenticate", called)))

    async def find(self, user_id: str) -> User | None:
        """Return the user as of now; None when gone or disabled."""
        async with bounded("UserStore.find", SECONDS):
            user = _user("find", await _awaitable("find", self._store.find(user_id)))
        if user is not None and user.id != user_id:
            logger.error("UserStore.find returned a user with another id than it was asked for")
            raise ServerFault
        return user

    async def name_of(self, user_id: str) -> str | None:
        """Return the name of a user to show; None when gone."""
        user = await self.find(user_id)
        return user.username if user else None

    def _wanted(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that ``authenticate`` takes by name: clients may send any others."""
        parameters = [*self._signature.parameters.values()][2:]
        names = {one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY}
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            names |= fields.keys() - self._taken
        return {name: value for name, value in fields.items() if name in names}


@asynccontextmanager
async def bounded(name: str, seconds: float) -> AsyncIterator[None]:
    """Call the application for at most some seconds; whatever it raises is an outage.

    Args:
        name: What is called, for the log.
        seconds: The longest that it may take.

    Raises:
        Unavailable: It failed, or took longer. The log has no message of its: it may quote a
            password or a claim.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except Failure:
        raise
    except Exception as exc:  # noqa: BLE001 - whatever the application raises
        logger.error("%s failed", name)  # noqa: TRY400 - without the message
        log_fault(exc)
        raise Unavailable from None


def _user(name: str, returned: object) -> User | None:
    if returned is not None and not isinstance(returned, User):
        logger.error("UserStore.%s returned no User, but a %s", name, type(returned).__name__)
        raise ServerFault
    return returned


def _awaitable(name: str, called: object) -> Awaitable[object]:
    if not inspect.isawaitable(called):
        logger.error("UserStore.%s is not async: write async def %s", name, name)
        raise ServerFault
    return called
