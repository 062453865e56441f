"""The rules of sessions.py, carried out over the database."""

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from unexpired_server.errors import Unavailable
from unexpired_server.sessions import audit
from unexpired_server.sessions.audit import Event, Kind
from unexpired_server.sessions.rules import (
    Decision,
    RefreshTokenClaims,
    Session,
    SessionPolicy,
    decide,
    refreshed,
)
from unexpired_server.sessions.users import User
from unexpired_server.settings import DAY
from unexpired_server.storage.database import Database
from unexpired_server.storage.schema import events, sessions, users

ATTEMPTS = 3
"""Reads of one refresh. A loser of the race is decided by its second; the third is for luck."""

HASTE_SECONDS = 1.0
"""No honest client refreshes a session twice within this, but for a burst of its tabs."""

BATCH = 1000
"""How many rows are looked at in one step of forgetting, so that nobody waits for it long."""

COLUMNS = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.counter,
    sessions.c.created_at,
    sessions.c.refreshed_at,
    sessions.c.revoked_at,
)

# A refresh's own two statements, put together once: that costs SQLAlchemy as much as running them.
READ = select(*COLUMNS).where(sessions.c.id == bindparam("session_id"))

REPLACE = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.counter == bindparam("seen"),
        sessions.c.revoked_at.is_(None),
    )
    .values(counter=bindparam("next"), refreshed_at=bindparam("now"), address=bindparam("origin"))
)
"""Compare and set: of several refreshes at once, one steps the counter on."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session, and what the person knows it by."""

    session: Session
    name: str
    address: str | None


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """What became of a refresh.

    Attributes:
        decision: What was decided.
        session: The session as it is now; None when it is gone, which is to have expired.
        is_too_frequent: Whether the refresh before was within HASTE_SECONDS.
    """

    decision: Decision
    session: Session | None
    is_too_frequent: bool = False


class Store:
    """Opens, refreshes, lists and revokes sessions.

    Args:
        database: Where they are kept.
        policy: How long they last.
    """

    def __init__(self, database: Database, policy: SessionPolicy) -> None:
        self._database = database
        self._policy = policy

    async def open_session(
        self, user: User, device: str, now: float, address: str | None = None
    ) -> Session | None:
        """Open a session; None when the user was disabled or the password changed meanwhile.

        Args:
            user: Who signed in, as they were when the password was checked.
            device: What the person may know it by, at most 200 characters.
            now: Unix seconds.
            address: From where.
        """
        session = Session(secrets.token_hex(16), user.id, 0, now, now)
        opened = Event(now, Kind.SIGN_IN, user.id, session.id, address)

        async def work(connection: AsyncConnection) -> bool:
            query = _insertion(session, device, address, user)
            if (await connection.execute(query)).first() is None:
                return False
            await connection.execute(audit.insert_events([opened]))
            return True

        if not await self._database.transaction(work):
            return None
        audit.log_events([opened])
        return session

    async def note_failed_sign_in(self, user: User | None, now: float, address: str | None) -> None:
        """Write down that a sign-in failed.

        Args:
            user: For whom it was tried, when there is such a user.
            now: Unix seconds.
            address: From where.
        """
        failed = [Event(now, Kind.SIGN_IN_FAILED, user.id if user else None, address=address)]
        await self._database.rows(audit.insert_events(failed))
        audit.log_events(failed)

    async def refresh(
        self, presented: RefreshTokenClaims, now: float, address: str | None = None
    ) -> RefreshOutcome:
        """Carry out a refresh.

        Args:
            presented: An authentic refresh token.
            now: Unix seconds.
            address: From where; kept with the session when its tokens are renewed.
        """

        def work(connection: Connection) -> RefreshOutcome:
            for _ in range(ATTEMPTS):
                outcome = self._attempt(connection, presented, now, address)
                if outcome is not None:
                    return outcome
            raise Unavailable

        outcome = await self._database.grouped(work)
        if outcome.decision is Decision.REUSE and outcome.session:
            await self._tell_reuse(outcome.session, now)
        return outcome

    async def revoke(
        self, session_id: str, now: float, user_id: str | None = None, address: str | None = None
    ) -> bool:
        """Revoke a live session.

        Args:
            session_id: Which.
            now: Unix seconds.
            user_id: Only when it is this user's.
            address: From where this was asked for.

        Returns:
            Whether there was one.
        """
        where = sessions.c.id == session_id
        if user_id is not None:
            where &= sessions.c.user_id == user_id
        return bool(await self._revoke_where(where, now, address))

    async def revoke_all(self, user_id: str, now: float, address: str | None = None) -> list[str]:
        """Revoke every live session of a user, and tell which."""
        return await self._revoke_where(sessions.c.user_id == user_id, now, address)

    async def set_password(self, user: User, password_hash: str, now: float) -> None:
        """Replace a password; whoever signed in with the old one is signed out."""
        await self._change(user, now, password_hash=password_hash)

    async def disable(self, user: User, now: float) -> None:
        """Keep a user from signing in, and end the user's sessions."""
        await self._change(user, now, disabled_at=now)

    async def revoked_since(self, since: float) -> list[str]:
        """The sessions that were revoked at or after a time."""
        query = select(sessions.c.id).where(sessions.c.revoked_at >= since)
        return [row.id for row in await self._database.rows(query)]

    async def live(self, now: float, user_id: str | None = None) -> list[SessionInfo]:
        """The sessions that could still be refreshed, newest first.

        Args:
            now: Unix seconds.
            user_id: Whose; of everybody when None.
        """
        query = (
            select(*COLUMNS, sessions.c.device, sessions.c.address)
            .where(
                sessions.c.revoked_at.is_(None),
                sessions.c.created_at > now - self._policy.absolute_ttl,
                sessions.c.refreshed_at > now - self._policy.idle_ttl,
                sessions.c.user_id == user_id if user_id is not None else true(),
            )
            .order_by(sessions.c.created_at.desc())
        )
        rows = await self._database.rows(query)
        return [SessionInfo(_session(row), row.device, row.address) for row in rows]

    async def purge_ended(self, now: float) -> None:
        """Delete the sessions that ended a day ago or earlier, and events that are too old."""
        ended = or_(
            sessions.c.created_at < now - self._policy.absolute_ttl - DAY,
            sessions.c.refreshed_at < now - self._policy.idle_ttl - DAY,
        )
        after = ""
        # Page by page along the primary key. An index over `refreshed_at` would find the idle
        # ones at once, and make every refresh dearer for it.
        while last := (await self._database.rows(_end_of_page(after)))[0].last:
            page = (sessions.c.id > after) & (sessions.c.id <= last)
            await self._database.rows(delete(sessions).where(page, ended))
            after = last
        await self._forget_events(now - audit.KEPT_SECONDS)

    async def _forget_events(self, before: float) -> None:
        old = select(events.c.id).where(events.c.at < before).limit(BATCH)
        batch = delete(events).where(events.c.id.in_(old)).returning(events.c.id)
        while await self._database.rows(batch):
            pass

    def _attempt(
        self, connection: Connection, presented: RefreshTokenClaims, now: float, address: str | None
    ) -> RefreshOutcome | None:
        """One reading of the session and one writing; None when another was quicker."""
        session = _read(connection, presented.session_id)
        if session is None:
            return RefreshOutcome(Decision.EXPIRED, None)
        decision = decide(session, presented.counter, now, self._policy)
        is_too_frequent = session.counter > 0 and now - session.refreshed_at < HASTE_SECONDS
        if decision is Decision.REUSE:
            # Committed before anything else can fail: the thief may be quicker.
            ours = (sessions.c.id == session.id) & sessions.c.revoked_at.is_(None)
            connection.execute(update(sessions).where(ours).values(revoked_at=now))
        if decision not in {Decision.ROTATE, Decision.KEEP}:
            return RefreshOutcome(decision, session, is_too_frequent)
        successor = refreshed(session, now, self._policy)
        replaced = _replace(connection, session, successor, address)
        return RefreshOutcome(decision, successor, is_too_frequent) if replaced else None

    async def _tell_reuse(self, session: Session, now: float) -> None:
        reused = [Event(now, Kind.REFRESH_REUSED, session.user_id, session.id)]
        audit.log_events(reused)
        await self._database.rows(audit.insert_events(reused))

    async def _change(self, user: User, now: float, **values: str | float) -> None:
        async def work(connection: AsyncConnection) -> list[Event]:
            await connection.execute(update(users).where(users.c.id == user.id).values(values))
            return await _revoke(connection, sessions.c.user_id == user.id, now)

        audit.log_events(await self._database.transaction(work))

    async def _revoke_where(
        self, where: ColumnElement[bool], now: float, address: str | None
    ) -> list[str]:
        async def work(connection: AsyncConnection) -> list[Event]:
            return await _revoke(connection, where, now, address)

        revoked = await self._database.transaction(work)
        audit.log_events(revoked)
        return [event.session_id for event in revoked if event.session_id]


async def _revoke(
    connection: AsyncConnection,
    where: ColumnElement[bool],
    now: float,
    address: str | None = None,
) -> list[Event]:
    """Revoke sessions in a transaction, and write it down; who commits tells of it."""
    query = (
        update(sessions)
        .where(where, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(sessions.c.id, sessions.c.user_id)
    )
    rows = (await connection.execute(query)).all()
    revoked = [Event(now, Kind.SESSION_REVOKED, row.user_id, row.id, address) for row in rows]
    if revoked:
        await connection.execute(audit.insert_events(revoked))
    return revoked


def _insertion(session: Session, device: str, address: str | None, user: User) -> Any:
    values = (session.id, user.id, 0, session.created_at, session.refreshed_at, device, address)
    # One statement, so that a user who is disabled at this moment gets no session. The lock is
    # for PostgreSQL: whoever disables the user waits for it, and then sees the new session.
    unchanged = (
        select(*map(literal, values))
        .select_from(users)
        .where(
            users.c.id == user.id,
            users.c.disabled_at.is_(None),
            users.c.password_hash == user.password_hash,
        )
        .with_for_update(read=True)
    )
    columns = ["id", "user_id", "counter", "created_at", "refreshed_at", "device", "address"]
    return insert(sessions).from_select(columns, unchanged).returning(sessions.c.id)


def _end_of_page(after: str) -> Select[Any]:
    page = select(sessions.c.id).where(sessions.c.id > after).order_by(sessions.c.id).limit(BATCH)
    return select(func.max(page.subquery().c.id).label("last"))


def _read(connection: Connection, session_id: str) -> Session | None:
    row = connection.execute(READ, {"session_id": session_id}).first()
    return _session(row) if row else None


def _replace(connection: Connection, old: Session, new: Session, address: str | None) -> bool:
    values = {
        "session_id": old.id,
        "seen": old.counter,
        "next": new.counter,
        "now": new.refreshed_at,
        "origin": address,
    }
    return connection.execute(REPLACE, values).rowcount == 1


def _session(row: Row[*tuple[Any, ...]]) -> Session:
    return Session(
        row.id, row.user_id, row.counter, row.created_at, row.refreshed_at, row.revoked_at
    )
