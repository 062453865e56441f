"""The example resource: short texts that belong to one user."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    tuple_,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from unexpired_server import Database, IdempotencyMismatch, metadata

BATCH = 1000
"""Keys that one statement deletes."""

KEY_LIFETIME = 86_400.0
"""Seconds during which a request may be repeated under its Idempotency-Key."""


# Of 64 bits, which SQLite's INTEGER has as it is.
NoteId = BigInteger().with_variant(Integer, "sqlite")

# The package's migrations create these two tables.
notes = Table(
    "notes",
    metadata,
    Column("id", NoteId, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("notes_of_user", "user_id", "id"),
    sqlite_autoincrement=True,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", ForeignKey("users.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    # No foreign key: after a note is deleted, a repeated request gets its response but no note.
    Column("note_id", NoteId, nullable=False),
    Column("created_at", Double, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Note:
    """One note; ``created_at`` in Unix seconds."""

    id: int
    text: str
    created_at: float


class Notes:
    """Lists, adds and deletes the notes of one user at a time.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: str, *, before: int | None = None, limit: int) -> list[Note]:
        """Return a user's notes, newest first.

        Args:
            user_id: The owner.
            before: Only notes that are older than this one.
            limit: The most to return.
        """
        query = select(notes).where(notes.c.user_id == user_id)
        if before is not None:
            query = query.where(notes.c.id < before)
        rows = await self._database.rows(query.order_by(notes.c.id.desc()).limit(limit))
        return [Note(row.id, row.text, row.created_at) for row in rows]

    async def add(self, user_id: str, text: str, now: float) -> Note:
        """Add a note."""
        return await self._database.run(lambda one: _insert(one, user_id, text, now))

    async def add_once(self, user_id: str, text: str, key: str, now: float) -> Note:
        """Add a note, unless this key already added it; then return the same note again.

        A client may repeat a request whose response was lost; the note is added once
        (draft-ietf-httpapi-idempotency-key-header-07, section 2).

        Args:
            user_id: The owner of the note and of the key.
            text: The note.
            key: The request's Idempotency-Key.
            now: Unix seconds.

        Raises:
            IdempotencyMismatch: The key was used for another text.
        """

        async def work(connection: AsyncConnection) -> Note:
            note = await _insert(connection, user_id, text, now)
            await _remember(connection, user_id, key, note)
            return note

        try:
            return await self._database.transaction(work)
        except IntegrityError:
            # Another request with this key was faster, perhaps by a millisecond.
            return await self._repeated(user_id, text, key)

    async def delete(self, user_id: str, note_id: int) -> bool:
        """Delete a note of this user; return whether there was one."""
        query = (
            delete(notes)
            .where(notes.c.id == note_id, notes.c.user_id == user_id)
            .returning(notes.c.id)
        )
        return bool(await self._database.rows(query))

    async def purge_keys(self, now: float) -> None:
        """Delete the keys of requests that are too old to be repeated."""
        key = tuple_(idempotency_keys.c.user_id, idempotency_keys.c.key)
        is_old = idempotency_keys.c.created_at < now - KEY_LIFETIME
        old = select(idempotency_keys.c.user_id, idempotency_keys.c.key).where(is_old).limit(BATCH)
        batch = delete(idempotency_keys).where(key.in_(old)).returning(idempotency_keys.c.key)
        while await self._database.rows(batch):
            pass

    async def _repeated(self, user_id: str, text: str, key: str) -> Note:
        query = select(idempotency_keys).where(
            idempotency_keys.c.user_id == user_id, idempotency_keys.c.key == key
        )
        (row,) = await self._database.rows(query)
        if row.fingerprint != _fingerprint(text):
            raise IdempotencyMismatch
        return Note(row.note_id, text, row.created_at)


async def _insert(connection: AsyncConnection, user_id: str, text: str, now: float) -> Note:
    row = {"user_id": user_id, "text": text, "created_at": now}
    query = insert(notes).values(row).returning(notes.c.id)
    note_id: int = (await connection.execute(query)).scalar_one()
    return Note(note_id, text, now)


async def _remember(connection: AsyncConnection, user_id: str, key: str, note: Note) -> None:
    row = {
        "user_id": user_id,
        "key": key,
        "fingerprint": _fingerprint(note.text),
        "note_id": note.id,
        "created_at": note.created_at,
    }
    await connection.execute(insert(idempotency_keys).values(row))


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
