"""The rules of sessions.py, carried out over the database."""

import logging
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.database import Database
from server.errors import Unavailable
from server.schema import events, sessions, users
from server.sessions import Decision, Policy, Presented, Session, decide, refreshed
from server.settings import DAY

ATTEMPTS = 3
"""Reads of one refresh. A loser of the race is decided by its second; the third is for luck."""

audit = logging.getLogger("unexpired.audit")

COLUMNS = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.counter,
    sessions.c.created_at,
    sessions.c.refreshed_at,
    sessions.c.revoked_at,
)


@dataclass(frozen=True, slots=True)
class Device:
    """A session, and what the person knows it by."""

    session: Session
    name: str


class Store:
    """Opens, refreshes, lists and revokes sessions.

    Args:
        database: Where they are kept.
        policy: How long they last.
    """

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def open_session(self, user_id: str, device: str, now: float) -> Session | None:
        """Open a session; None when the user was disabled in the meantime.

        Args:
            user_id: Who signed in.
            device: What the person may know it by, at most 200 characters.
            now: Unix seconds.
        """
        session = Session(secrets.token_hex(16), user_id, 0, now, now)
        values = (session.id, user_id, 0, now, now, device)
        # One statement, so that a user who is disabled at this moment gets no session.
        enabled = select(*map(literal, values)).where(
            exists().where(users.c.id == user_id, users.c.disabled_at.is_(None))
        )
        columns = ["id", "user_id", "counter", "created_at", "refreshed_at", "device"]
        query = insert(sessions).from_select(columns, enabled).returning(sessions.c.id)
        async with self._database.statements() as connection:
            opened = (await connection.execute(query)).first()
        return session if opened else None

    async def refresh(self, presented: Presented, now: float) -> tuple[Decision, Session | None]:
        """Carry out a refresh.

        Args:
            presented: An authentic refresh token.
            now: Unix seconds.

        Returns:
            What was decided, and the session as it is now; a session that is gone has expired.
        """
        async with self._database.statements() as connection:
            for _ in range(ATTEMPTS):
                session = await _read(connection, presented.session_id)
                if session is None:
                    return Decision.EXPIRED, None
                decision = decide(session, presented.counter, now, self._policy)
                if decision is Decision.REUSE:
                    await self._revoke_reused(connection, session, now)
                if decision not in {Decision.ROTATE, Decision.KEEP}:
                    return decision, session
                successor = refreshed(session, now, self._policy)
                if await _replace(connection, session, successor):
                    return decision, successor
        raise Unavailable

    async def revoke(self, session_id: str, now: float, user_id: str | None = None) -> bool:
        """Revoke a live session.

        Args:
            session_id: Which.
            now: Unix seconds.
            user_id: Only when it is this user's.

        Returns:
            Whether there was one.
        """
        where = sessions.c.id == session_id
        if user_id is not None:
            where &= sessions.c.user_id == user_id
        return bool(await self._revoke_where(where, now))

    async def revoke_all(self, user_id: str, now: float) -> list[str]:
        """Revoke every live session of a user, and tell which."""
        return await self._revoke_where(sessions.c.user_id == user_id, now)

    async def revoked_since(self, since: float) -> list[str]:
        """The sessions that were revoked at or after a time."""
        query = select(sessions.c.id).where(sessions.c.revoked_at >= since)
        async with self._database.statements() as connection:
            return list((await connection.execute(query)).scalars())

    async def live(self, now: float, user_id: str | None = None) -> list[Device]:
        """The sessions that could still be refreshed, newest first.

        Args:
            now: Unix seconds.
            user_id: Whose; of everybody when None.
        """
        query = (
            select(*COLUMNS, sessions.c.device)
            .where(
                sessions.c.revoked_at.is_(None),
                sessions.c.created_at > now - self._policy.absolute_ttl,
                sessions.c.refreshed_at > now - self._policy.idle_ttl,
            )
            .order_by(sessions.c.created_at.desc())
        )
        if user_id is not None:
            query = query.where(sessions.c.user_id == user_id)
        async with self._database.statements() as connection:
            rows = (await connection.execute(query)).all()
        return [Device(_session(row), row.device) for row in rows]

    async def forget_ended(self, now: float) -> None:
        """Delete the sessions whose absolute end has passed by a day."""
        ended = sessions.c.created_at < now - self._policy.absolute_ttl - DAY
        async with self._database.statements() as connection:
            await connection.execute(delete(sessions).where(ended))

    async def _revoke_where(self, where: ColumnElement[bool], now: float) -> list[str]:
        query = (
            update(sessions)
            .where(where, sessions.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(sessions.c.id)
        )
        async with self._database.statements() as connection:
            return list((await connection.execute(query)).scalars())

    async def _revoke_reused(
        self, connection: AsyncConnection, session: Session, now: float
    ) -> None:
        # Committed by itself, before anything else can fail: the thief may be quicker.
        ours = (sessions.c.id == session.id) & sessions.c.revoked_at.is_(None)
        await connection.execute(update(sessions).where(ours).values(revoked_at=now))
        audit.warning("refresh token reused: session %s revoked", session.id)
        event = {
            "at": now,
            "kind": "refresh_reused",
            "session_id": session.id,
            "user_id": session.user_id,
        }
        await connection.execute(insert(events).values(event))


async def _read(connection: AsyncConnection, session_id: str) -> Session | None:
    query = select(*COLUMNS).where(sessions.c.id == session_id)
    row = (await connection.execute(query)).first()
    return _session(row) if row else None


async def _replace(connection: AsyncConnection, old: Session, new: Session) -> bool:
    """Compare and set: of several refreshes at once, one steps the counter on."""
    query = (
        update(sessions)
        .where(
            sessions.c.id == old.id,
            sessions.c.counter == old.counter,
            sessions.c.revoked_at.is_(None),
        )
        .values(counter=new.counter, refreshed_at=new.refreshed_at)
        .returning(sessions.c.id)
    )
    return (await connection.execute(query)).first() is not None


def _session(row: Row[*tuple[Any, ...]]) -> Session:
    return Session(
        row.id, row.user_id, row.counter, row.created_at, row.refreshed_at, row.revoked_at
    )
