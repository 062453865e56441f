"""The rows of sessions: the rules, applied in the database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Row,
    Select,
    String,
    Update,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from unexpired_server.errors import Unavailable
from unexpired_server.scopes import split_scopes
from unexpired_server.sessions import audit
from unexpired_server.sessions.audit import Cause, Event, Kind
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims
from unexpired_server.sessions.rules import (
    REMEMBERED_ATTEMPTS,
    Decision,
    Session,
    SessionPolicy,
    decide,
    ends_at,
    hash_attempt,
    is_bound,
    refreshed,
)
from unexpired_server.sessions.user import User
from unexpired_server.sessions.users import Account
from unexpired_server.settings import DAY
from unexpired_server.storage.database import Database
from unexpired_server.storage.prepared import Prepared
from unexpired_server.storage.schema import events, sessions, users

if TYPE_CHECKING:  # See ``storage.engines``.
    from sqlalchemy.ext.asyncio import AsyncConnection

MAX_TRIES = 3
"""Of one refresh. Losing a race once is decided by the second try; the third is a safety margin."""

BATCH = 1000
"""Rows in one step of a list or a purge, so that other statements do not wait long."""

SEPARATOR = ","
"""Between the attempts of a session, in its row."""

HASH_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_?"
"""What an attempt in a row consists of: base64url, NO_ATTEMPT or LOST."""

REMARKABLE = {
    Decision.REUSE: Kind.REFRESH_REUSED,
    Decision.ROLL_FORWARD: Kind.REFRESH_ROLLED_FORWARD,
}
"""The decisions that leave an event."""

COLUMNS = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.counter,
    sessions.c.created_at,
    sessions.c.refreshed_at,
    sessions.c.revoked_at,
    sessions.c.attempts,
    sessions.c.jkt,
)

WIDTH = len(COLUMNS)

SCOPES = (
    select(users.c.scopes)
    .where(users.c.id == sessions.c.user_id)
    .correlate(sessions)
    .scalar_subquery()
    .label("scopes")
)
"""What the session's user may do: read with the session, in the same round trip."""

NO_SCOPES = literal("").label("scopes")
"""Where the application says what its own users may do."""

IS_BY_ITS_KEY = sessions.c.jkt.is_(None) | (sessions.c.jkt == bindparam("proven", type_=String()))
"""Whether the session is not bound, or bound to the key that the request proves."""

_OWN_USER = select(sessions.c.user_id, literal("").label("username"), NO_SCOPES)
_USER = select(sessions.c.user_id, users.c.username, users.c.scopes).join(
    users, users.c.id == sessions.c.user_id
)

# Built once: building a statement costs SQLAlchemy as much as running it.
REPLACE = (
    update(sessions)
    .where(
        sessions.c.id == bindparam("session_id"),
        sessions.c.counter == bindparam("seen"),
        sessions.c.revoked_at.is_(None),
    )
    .values(
        counter=bindparam("next"),
        refreshed_at=bindparam("now"),
        attempts=bindparam("steps"),
        address=bindparam("origin"),
    )
)
"""Compare and set: of several refreshes at once, only one increments the counter."""


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A live session, and how its user can recognise it.

    Attributes:
        session: The session.
        device: The client's name for itself, from when the user signed in.
        address: The address that last used it.
        ends_at: When it ends without another refresh, in Unix seconds.
        is_bound: Whether only the holder of its key may refresh it.
    """

    session: Session
    device: str
    address: str | None
    ends_at: float
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """The outcome of a refresh.

    Attributes:
        decision: The decision.
        session: The session as it is now; None when its row is gone, because it has expired.
        scopes: What its user may do, of the built-in table.
    """

    decision: Decision
    session: Session | None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for: the token, the hash of the attempt, when, from where, by which key."""

    token: RefreshTokenClaims
    attempt: str
    now: float
    address: str | None
    jkt: str | None


class Store:
    """Opens, refreshes, lists and revokes sessions.

    Every statement has the same size whatever a user has, and runs on an index.

    Args:
        database: The database.
        policy: How long sessions last.
        on_event: Called with the kind of each event that is committed.
        has_own_users: Whether the users are in an application's own table.
    """

    def __init__(
        self,
        database: Database,
        policy: SessionPolicy,
        on_event: Callable[[Kind], None] = lambda _kind: None,
        *,
        has_own_users: bool = False,
    ) -> None:
        self._database = database
        self._on_event = on_event
        self._has_own_users = has_own_users
        self.policy = policy
        columns = (*COLUMNS, NO_SCOPES if has_own_users else SCOPES)
        self._step_statement = Prepared(_step_statement(policy).returning(*columns))
        self._user_statement = (_OWN_USER if has_own_users else _USER).where(
            sessions.c.id == bindparam("session_id"),
            sessions.c.revoked_at.is_(None),
            *_by_its_key(policy),
        )
        self._read_statement = select(*columns).where(sessions.c.id == bindparam("session_id"))

    async def open_session(  # noqa: PLR0913 - each is a part of the row
        self,
        user: User,
        device: str,
        now: float,
        address: str | None = None,
        *,
        account: str | None = None,
        jkt: str | None = None,
    ) -> Session | None:
        """Insert a session; None when the user was disabled or the password changed meanwhile.

        When it is one too many, the one that was not used for longest is revoked.

        Args:
            user: The user, as read when the password was verified.
            device: The client's name for itself, at most 200 characters.
            now: Unix seconds.
            address: The client's address.
            account: The hash of the username, where the users are in an application's own table.
            jkt: The thumbprint of the key that it is bound to, if any.
        """
        session = Session(secrets.token_hex(16), user.id, 0, now, now, jkt=jkt)
        opened = Event(now, Kind.SIGN_IN, user.id, session.id, address)

        async def work(connection: AsyncConnection) -> list[Event] | None:
            query = self._insertion(session, device, address, user, account)
            if (await connection.execute(query)).first() is None:
                return None
            await audit.store_events(connection, [opened])
            oldest = sessions.c.id.in_(self._beyond_the_limit(session))
            return await _revoke(connection, oldest, now, Cause.TOO_MANY, address)

        ended = await self._database.transaction(work)
        if ended is None:
            return None
        self._log([opened, *ended])
        return session

    async def note_failed_sign_in(
        self, user_id: str | None, now: float, address: str | None
    ) -> None:
        """Record a failed sign-in.

        Args:
            user_id: The user with that name, where known.
            now: Unix seconds.
            address: The client's address.
        """
        failed = [Event(now, Kind.SIGN_IN_FAILED, user_id, address=address)]
        await self._database.run(lambda one: audit.store_events(one, failed))
        self._log(failed)

    async def refresh(
        self,
        presented: RefreshTokenClaims,
        now: float,
        address: str | None = None,
        attempt: str | None = None,
        *,
        jkt: str | None = None,
    ) -> RefreshOutcome:
        """Refresh a session, or revoke it when its token was reused.

        Args:
            presented: The claims of an authentic refresh token.
            now: Unix seconds.
            address: The client's address; stored when the refresh succeeds.
            attempt: The client's id of this refresh, if it gave one.
            jkt: The thumbprint of the key that the request proves, if any.
        """
        asked = _Asked(presented, hash_attempt(attempt), now, address, jkt)

        runs = 0

        def work(connection: Connection) -> RefreshOutcome:
            nonlocal runs
            runs += 1
            for _ in range(MAX_TRIES):
                # Nearly always the step is all that happens.
                outcome = self._step(connection, asked) or self._decide(
                    connection, asked, is_again=runs > 1
                )
                if outcome is not None:
                    return outcome
            raise Unavailable

        outcome = await self._database.grouped(work)
        kind = REMARKABLE.get(outcome.decision)
        if kind is not None and outcome.session is not None:
            await self._record(kind, outcome.session, asked)
        return outcome

    async def note_refused_proof(
        self, session_id: str, now: float, address: str | None, *, cause: Cause
    ) -> None:
        """Record that the refresh of a bound session was refused, which has not changed it.

        Args:
            session_id: The session.
            now: Unix seconds.
            address: The client's address.
            cause: Why.
        """

        async def work(connection: AsyncConnection) -> list[Event]:
            owner = select(sessions.c.user_id).where(sessions.c.id == session_id)
            user_id = (await connection.execute(owner)).scalar()
            kind = Kind.REFRESH_PROOF_REFUSED
            refused = [Event(now, kind, user_id, session_id, address, cause)]
            await audit.store_events(connection, refused)
            return refused

        self._log(await self._database.transaction(work))

    async def user_of(self, session_id: str, jkt: str | None = None) -> User | None:
        """Return the user of a session, of one's own users only the id.

        None when it is revoked, or bound to another key than the request proves.

        Args:
            session_id: The session.
            jkt: The thumbprint of the key that the request proves, if any.
        """
        values = {"session_id": session_id, **self._key(jkt)}
        rows = await self._database.rows(self._user_statement.params(values))
        if not rows:
            return None
        return User(rows[0].user_id, rows[0].username, split_scopes(rows[0].scopes))

    async def revoke(
        self,
        session_id: str,
        now: float,
        user_id: str | None = None,
        address: str | None = None,
        *,
        cause: Cause = Cause.OPERATOR,
    ) -> bool:
        """Revoke a live session; return whether there was one.

        Args:
            session_id: The session.
            now: Unix seconds.
            user_id: Only a session of this user; of any user when None.
            address: The client's address.
            cause: Why.
        """
        where = sessions.c.id == session_id
        if user_id is not None:
            where &= sessions.c.user_id == user_id
        return bool(await self._revoke_where(where, now, cause, address))

    async def revoke_again(self, session_ids: Sequence[str], now: float) -> list[str]:
        """Revoke what was revoked before and is live in the database; return their ids."""
        again: list[str] = []
        for start in range(0, len(session_ids), BATCH):
            lost = sessions.c.id.in_(session_ids[start : start + BATCH])
            again += await self._revoke_where(lost, now, Cause.LOST)
        return again

    async def revoke_all(self, user_id: str, now: float, address: str | None = None) -> list[str]:
        """Revoke every live session of a user; return their ids."""
        where = sessions.c.user_id == user_id
        return await self._revoke_where(where, now, Cause.SIGN_OUT_EVERYWHERE, address)

    async def set_password(self, user: Account, password_hash: str, now: float) -> list[str]:
        """Replace a password and revoke the user's sessions; return their ids."""
        return await self._change(user, now, Cause.PASSWORD, password_hash=password_hash)

    async def replace_password(  # noqa: PLR0913 - each is a part of what happened
        self,
        user: Account,
        password_hash: str,
        now: float,
        *,
        kind: Kind,
        address: str | None = None,
        kept: str | None = None,
    ) -> list[str] | None:
        """Replace a user's own password and revoke their other sessions; return their ids.

        None when the user was disabled or the password changed meanwhile.

        Args:
            user: The user, as read when they proved who they are.
            password_hash: The new password's hash.
            now: Unix seconds.
            kind: How they did it.
            address: The client's address.
            kept: The id of the session that goes on.
        """
        replaced = Event(now, kind, user.id, kept, address)
        others = sessions.c.user_id == user.id
        if kept is not None:
            others &= sessions.c.id != kept
        unchanged = (users.c.disabled_at.is_(None), users.c.password_hash == user.password_hash)
        query = (
            update(users)
            .where(users.c.id == user.id, *unchanged)
            .values(password_hash=password_hash)
            .returning(users.c.id)
        )

        async def work(connection: AsyncConnection) -> list[Event] | None:
            if (await connection.execute(query)).first() is None:
                return None
            await audit.store_events(connection, [replaced])
            return await _revoke(connection, others, now, Cause.PASSWORD, address)

        revoked = await self._database.transaction(work)
        if revoked is None:
            return None
        self._log([replaced])
        return self._logged(revoked)

    async def note_sign_up(self, user_id: str, now: float, address: str | None) -> None:
        """Record that a user has created an account."""
        happened = [Event(now, Kind.SIGN_UP, user_id, address=address)]
        await self._database.run(lambda one: audit.store_events(one, happened))
        self._log(happened)

    async def disable(self, user: Account, now: float) -> list[str]:
        """Disable a user and revoke the user's sessions; return their ids."""
        return await self._change(user, now, Cause.DISABLED, disabled_at=now)

    async def revoked_since(self, since: float) -> dict[str, float]:
        """Return the sessions that were revoked at or after a time, and when; oldest first."""
        position = tuple_(sessions.c.revoked_at, sessions.c.id)
        query = (
            select(sessions.c.revoked_at, sessions.c.id)
            .where(sessions.c.revoked_at >= since)
            .order_by(sessions.c.revoked_at, sessions.c.id)
            .limit(BATCH)
        )
        found: dict[str, float] = {}
        page = await self._database.rows(query)
        while page:
            found.update((row.id, row.revoked_at) for row in page)
            last = tuple_(literal(page[-1].revoked_at), literal(page[-1].id))
            page = await self._database.rows(query.where(position > last)) if _full(page) else ()
        return found

    async def live(
        self,
        now: float,
        user_id: str | None = None,
        *,
        after: str | None = None,
        limit: int = BATCH,
    ) -> list[SessionInfo]:
        """Return sessions that can be refreshed; a user's newest first, all users' by their id.

        Args:
            now: Unix seconds.
            user_id: Of this user; of all users when None.
            after: The id of the last session of the page before.
            limit: The most to return.
        """
        order: tuple[Any, ...] = (sessions.c.id,)
        query = select(*COLUMNS, sessions.c.device, sessions.c.address).where(*self._is_live(now))
        if user_id is None:
            query = query.where(sessions.c.id > (after or ""))
        else:
            query = query.where(sessions.c.user_id == user_id)
            order = (sessions.c.created_at.desc(), sessions.c.id.desc())
            if after is not None:
                query = query.where(_is_older_than(after, user_id))
        rows = await self._database.rows(query.order_by(*order).limit(limit))
        return [self._info(row) for row in rows]

    async def purge_ended(self, now: float) -> None:
        """Delete sessions that ended at least a day ago, and events past their retention."""
        ended = or_(
            sessions.c.created_at < now - self.policy.absolute_ttl - DAY,
            sessions.c.refreshed_at < now - self.policy.idle_ttl - DAY,
        )
        after = ""
        # Page by page along the primary key. An index over `refreshed_at` would find idle sessions
        # directly, but make every refresh more expensive.
        while last := (await self._database.rows(_end_of_page(after)))[0].last:
            page = (sessions.c.id > after) & (sessions.c.id <= last)
            await self._database.rows(delete(sessions).where(page, ended))
            after = last
        await self._purge_events(now - audit.RETENTION)

    async def _purge_events(self, before: float) -> None:
        old = select(events.c.id).where(events.c.at < before).limit(BATCH)
        batch = delete(events).where(events.c.id.in_(old)).returning(events.c.id)
        while await self._database.rows(batch):
            pass

    def _insertion(
        self, session: Session, device: str, address: str | None, user: User, account: str | None
    ) -> Any:
        row = {
            "id": session.id,
            "user_id": user.id,
            "counter": 0,
            "created_at": session.created_at,
            "refreshed_at": session.refreshed_at,
            "device": device,
            "address": address,
            "attempts": "",
            "jkt": session.jkt,
        }
        if self._has_own_users:
            query = insert(sessions).values(**row, account=account)
        else:
            query = insert(sessions).from_select([*row], _of_unchanged(user, [*row.values()]))
        return query.returning(sessions.c.id)

    def _is_live(self, now: float) -> tuple[ColumnElement[bool], ...]:
        return (
            sessions.c.revoked_at.is_(None),
            sessions.c.created_at > now - self.policy.absolute_ttl,
            sessions.c.refreshed_at > now - self.policy.idle_ttl,
        )

    def _beyond_the_limit(self, newest: Session) -> Select[Any]:
        """Select the user's other sessions beyond the limit: those not used for longest."""
        others = (sessions.c.user_id == newest.user_id, sessions.c.id != newest.id)
        return (
            select(sessions.c.id)
            .where(*others, *self._is_live(newest.created_at))
            .order_by(sessions.c.refreshed_at.desc(), sessions.c.id)
            .offset(self.policy.sessions_per_user - 1)
        )

    def _info(self, row: Row[*tuple[Any, ...]]) -> SessionInfo:
        session, policy = _session(row), self.policy
        ends, bound = ends_at(session, policy), is_bound(session, policy)
        return SessionInfo(session, row.device, row.address, ends, bound)

    def _key(self, jkt: str | None) -> dict[str, str | None]:
        """Return the parameter of ``IS_BY_ITS_KEY``, where that is asked."""
        return {"proven": jkt} if self.policy.asks_for_proof else {}

    def _step(self, connection: Connection, asked: _Asked) -> RefreshOutcome | None:
        """Refresh with the current token of a live session; None when this is not one."""
        values = {
            "session_id": asked.token.session_id,
            "presented": asked.token.counter,
            "attempt": asked.attempt,
            "now": asked.now,
            "origin": asked.address,
            **self._key(asked.jkt),
        }
        row = self._step_statement.first(connection, values)
        decision = Decision.ROTATE if self.policy.rotation else Decision.KEEP
        return RefreshOutcome(decision, _session(row), _scopes(row)) if row else None

    def _decide(
        self, connection: Connection, asked: _Asked, *, is_again: bool
    ) -> RefreshOutcome | None:
        """Decide on every other token; None when another refresh was faster."""
        values = {"session_id": asked.token.session_id}
        row, now = connection.execute(self._read_statement, values).first(), asked.now
        if row is None:
            return RefreshOutcome(Decision.EXPIRED, None)
        session, scopes = _session(row), _scopes(row)
        presented = asked.token.counter
        decision = decide(session, presented, asked.attempt, now, self.policy, jkt=asked.jkt)
        if decision in {Decision.ROTATE, Decision.KEEP}:
            return None  # It has become the current one since the step.
        if decision is Decision.REUSE and is_again and _is_this_step(session, asked):
            return RefreshOutcome(Decision.REPEAT, session, scopes)
        if decision is Decision.REUSE:
            # Committed before anything else can fail, because a thief holds a token.
            ours = (sessions.c.id == session.id) & sessions.c.revoked_at.is_(None)
            connection.execute(update(sessions).where(ours).values(revoked_at=now))
        if decision is not Decision.ROLL_FORWARD:
            return RefreshOutcome(decision, session, scopes)
        successor = refreshed(session, presented, asked.attempt, now, self.policy)
        replaced = _replace(connection, session, successor, asked.address)
        return RefreshOutcome(decision, successor, scopes) if replaced else None

    async def _record(self, kind: Kind, session: Session, asked: _Asked) -> None:
        cause = Cause.REUSE if kind is Kind.REFRESH_REUSED else None
        happened = [Event(asked.now, kind, session.user_id, session.id, asked.address, cause)]
        self._log(happened)
        await self._database.run(lambda one: audit.store_events(one, happened))

    async def _change(
        self, user: Account, now: float, cause: Cause, **values: str | float
    ) -> list[str]:
        async def work(connection: AsyncConnection) -> list[Event]:
            await connection.execute(update(users).where(users.c.id == user.id).values(values))
            return await _revoke(connection, sessions.c.user_id == user.id, now, cause)

        return self._logged(await self._database.transaction(work))

    def _log(self, happened: Sequence[Event]) -> None:
        audit.log_events(happened)
        for one in happened:
            self._on_event(one.kind)

    def _logged(self, revoked: Sequence[Event]) -> list[str]:
        """Log committed revocations; return the ids of their sessions."""
        self._log(revoked)
        return [event.session_id for event in revoked if event.session_id]

    async def _revoke_where(
        self, where: ColumnElement[bool], now: float, cause: Cause, address: str | None = None
    ) -> list[str]:
        async def work(connection: AsyncConnection) -> list[Event]:
            return await _revoke(connection, where, now, cause, address)

        return self._logged(await self._database.transaction(work))


async def _revoke(
    connection: AsyncConnection,
    where: ColumnElement[bool],
    now: float,
    cause: Cause,
    address: str | None = None,
) -> list[Event]:
    """Revoke sessions and store their events; the caller commits, then logs them."""
    query = (
        update(sessions)
        .where(where, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(sessions.c.id, sessions.c.user_id)
    )
    rows = (await connection.execute(query)).all()
    revoked = [
        Event(now, Kind.SESSION_REVOKED, row.user_id, row.id, address, cause) for row in rows
    ]
    await audit.store_events(connection, revoked)
    return revoked


def _of_unchanged(user: User, values: Sequence[object]) -> Any:
    """Select a new row, or none when the user of the built-in table has changed meanwhile."""
    # One statement, so that a user who is disabled at this moment gets no session. The lock is
    # for PostgreSQL: disabling the user waits for it, and then sees the new session.
    unchanged = [users.c.id == user.id, users.c.disabled_at.is_(None)]
    if isinstance(user, Account):
        unchanged.append(users.c.password_hash == user.password_hash)
    return (
        select(*map(literal, values))
        .select_from(users)
        .where(*unchanged)
        .with_for_update(read=True)
    )


def _by_its_key(policy: SessionPolicy) -> tuple[ColumnElement[bool], ...]:
    """Return the condition on a session's key, where that is asked for."""
    return (IS_BY_ITS_KEY,) if policy.asks_for_proof else ()


def _step_statement(policy: SessionPolicy) -> Update:
    """Return the statement that refreshes with a session's current token.

    It is ``rules.decide`` and ``rules.refreshed`` for ROTATE and KEEP, in SQL.
    """
    now: ColumnElement[float] = bindparam("now", type_=Double())
    steps = {
        "counter": sessions.c.counter + 1,
        "attempts": _with_attempt(sessions.c.attempts, bindparam("attempt", type_=String())),
    }
    return (
        update(sessions)
        .where(
            sessions.c.id == bindparam("session_id"),
            sessions.c.counter == bindparam("presented"),
            sessions.c.revoked_at.is_(None),
            sessions.c.created_at + policy.absolute_ttl > now,
            sessions.c.refreshed_at + policy.idle_ttl > now,
            *_by_its_key(policy),
        )
        .values(
            refreshed_at=now,
            address=bindparam("origin", type_=String()),
            **(steps if policy.rotation else {}),
        )
    )


def _with_attempt(attempts: ColumnElement[str], new: ColumnElement[str]) -> ColumnElement[str]:
    """Return the attempts of a row with one more, of which the last are kept."""
    separators = func.length(attempts) - func.length(func.replace(attempts, SEPARATOR, ""))
    without_first = func.substr(func.ltrim(attempts, HASH_CHARACTERS), 2)
    return case(
        (attempts == "", new),
        (separators < REMEMBERED_ATTEMPTS - 1, attempts + SEPARATOR + new),
        else_=without_first + SEPARATOR + new,
    )


def _is_older_than(session_id: str, user_id: str) -> ColumnElement[bool]:
    """Return whether a session was opened before one of this user's."""
    position = (
        select(sessions.c.created_at, sessions.c.id)
        .where(sessions.c.id == session_id, sessions.c.user_id == user_id)
        .scalar_subquery()
    )
    return tuple_(sessions.c.created_at, sessions.c.id) < position


def _full(page: Sequence[object]) -> bool:
    return len(page) == BATCH


def _end_of_page(after: str) -> Select[Any]:
    page = select(sessions.c.id).where(sessions.c.id > after).order_by(sessions.c.id).limit(BATCH)
    return select(func.max(page.subquery().c.id).label("last"))


def _replace(connection: Connection, old: Session, new: Session, address: str | None) -> bool:
    values = {
        "session_id": old.id,
        "seen": old.counter,
        "next": new.counter,
        "now": new.refreshed_at,
        "steps": SEPARATOR.join(new.attempts),
        "origin": address,
    }
    return connection.execute(REPLACE, values).rowcount == 1


def _is_this_step(session: Session, asked: _Asked) -> bool:
    """Return whether the step was made by this work, whose result was lost with the connection."""
    return session.counter == asked.token.counter + 1 and session.refreshed_at == asked.now


def _session(row: Sequence[Any]) -> Session:
    """Return the session of a row that begins with ``COLUMNS``."""
    id_, user_id, counter, created_at, refreshed_at, revoked_at, attempts, jkt = row[:WIDTH]
    steps = tuple(attempts.split(SEPARATOR)) if attempts else ()
    return Session(id_, user_id, counter, created_at, refreshed_at, revoked_at, steps, jkt)


def _scopes(row: Sequence[Any]) -> frozenset[str]:
    """Return the scopes of a row that ends with them."""
    return split_scopes(row[-1] or "")
