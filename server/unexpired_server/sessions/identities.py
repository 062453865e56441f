"""Who signs in at a provider: from its word on a person to a user.

A person is the pair of issuer and subject, and nothing else (OpenID Connect Core 1.0, section 5.7):
names and e-mail addresses change, and are given to others. So nobody gets a user of the same name.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError

from unexpired_server.errors import ServerFault
from unexpired_server.scopes import split_scopes
from unexpired_server.sessions.directory import SECONDS, bounded
from unexpired_server.sessions.user import User
from unexpired_server.sessions.usernames import (
    MAXIMUM_LENGTH,
    InvalidUsernameError,
    new_username,
    variants,
)
from unexpired_server.settings import SettingsError
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import identities, users

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncConnection

NO_PASSWORD = ""
"""In place of a password's hash; no password matches it."""

METHOD = "find_or_create_identity"
SUFFIX = 6
"""Characters that tell apart two people of one name."""

logger: logging.Logger = logging.getLogger("unexpired.server")


@dataclass(frozen=True)
class Identity:
    """A person, as a provider knows them.

    Attributes:
        issuer: The provider.
        subject: The person: never another one there. Together they are the key to keep.
        claims: All that the provider says of the person, such as ``name`` and ``email``; verified
            to be the provider's, which may have verified nothing of it.
    """

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


class IdentityStore(Protocol):
    """What an application's own users need beside ``UserStore``, for the setting ``login_with``."""

    async def find_or_create_identity(self, identity: Identity, /) -> User | None:
        """Return the user of a person, who may be new; None refuses the sign-in.

        Find the user by issuer and subject. Who has the name or the e-mail address of one of your
        users may be somebody else.
        """
        ...


@dataclass(frozen=True)
class Identified:
    """The user of a person.

    Attributes:
        user: The user; None when the sign-in is refused.
        user_id: The user's id, also of one who is refused, where known.
        is_new: Whether the user was created by this.
    """

    user: User | None
    user_id: str | None = None
    is_new: bool = False


class UsersOfPeople(Protocol):
    """Finds the user of a person."""

    async def find_or_create(self, identity: Identity) -> Identified:
        """Return the user of a person; one is created for a person who is new."""
        ...


class BuiltInIdentities:
    """The built-in tables of identities and users.

    Args:
        database: The database.
        now: The clock of all nodes, in Unix seconds.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    async def find_or_create(self, identity: Identity) -> Identified:
        """Return the user of a person; one without a password is created for a new person."""
        if known := await self._find(identity):
            return known
        for name in usernames_for(identity):
            if created := await self._create(identity, name):
                return created
            # Another of the person's tabs may have been faster.
            if known := await self._find(identity):
                return known
        raise ServerFault

    async def _find(self, identity: Identity) -> Identified | None:
        query = (
            select(users)
            .join(identities, identities.c.user_id == users.c.id)
            .where(
                identities.c.issuer == identity.issuer,
                identities.c.subject == identity.subject,
            )
        )
        rows = await self._database.rows(query)
        return _identified(rows[0]) if rows else None

    async def _create(self, identity: Identity, name: str) -> Identified | None:
        """Add the user and the identity together; None when the name or the person is there."""
        user = User(secrets.token_hex(16), name)
        now = self._now()

        async def work(connection: AsyncConnection) -> Identified | None:
            taken = select(users.c.id).where(users.c.username.in_(variants(name)))
            if (await connection.execute(taken)).first():
                return None
            await connection.execute(
                insert(users).values(
                    id=user.id, username=name, password_hash=NO_PASSWORD, created_at=now
                )
            )
            await connection.execute(
                insert(identities).values(
                    issuer=identity.issuer,
                    subject=identity.subject,
                    user_id=user.id,
                    created_at=now,
                )
            )
            return Identified(user, user.id, is_new=True)

        try:
            return await self._database.transaction(work)
        except IntegrityError:
            return None


class OwnIdentities:
    """An application's own users.

    Args:
        store: The users.

    Raises:
        SettingsError: They have no method for people who sign in at a provider.
    """

    def __init__(self, store: object) -> None:
        method = getattr(store, METHOD, None)
        if not callable(method):
            raise SettingsError(
                f"The setting login_with needs users= with a method {METHOD}: see IdentityStore"
            )
        self._method = method

    async def find_or_create(self, identity: Identity) -> Identified:
        """Return the application's user; None when it refuses the sign-in."""
        async with bounded(f"IdentityStore.{METHOD}", SECONDS):
            called = self._method(identity)
            returned = await called if inspect.isawaitable(called) else called
        if returned is not None and not isinstance(returned, User):
            logger.error("IdentityStore.%s returned no User", METHOD)
            raise ServerFault
        return Identified(returned, returned.id if returned else None)


def usernames_for(identity: Identity) -> Iterator[str]:
    """Yield names that a new user may have, until one is free.

    Of an e-mail address it is what is before the @: a name that is an address would look like its
    owner's, who may be somebody else.
    """
    wanted = [_valid(identity.claims.get(name)) for name in ("preferred_username", "email")]
    names = list(dict.fromkeys(name for name in wanted if name))
    yield from names
    of_person = f"{identity.issuer} {identity.subject}".encode()
    digest = hashlib.sha256(of_person).hexdigest()
    for name in names:
        yield f"{name[: MAXIMUM_LENGTH - SUFFIX - 1]}-{digest[:SUFFIX]}"
    yield f"user-{digest[: 2 * SUFFIX]}"
    yield f"user-{secrets.token_hex(16)}"


def _valid(claim: object) -> str | None:
    if not isinstance(claim, str):
        return None
    try:
        return new_username(claim.partition("@")[0]) or None
    except InvalidUsernameError:
        return None


def _identified(row: Row[Any]) -> Identified:
    if row.disabled_at is not None:
        return Identified(None, row.id)
    return Identified(User(row.id, row.username, split_scopes(row.scopes)), row.id)
