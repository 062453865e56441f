"""The example resource: short texts that belong to one user."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from unexpired_server import Database, Failure, IdempotencyMismatch, metadata

if TYPE_CHECKING:  # It needs greenlet, of which there is no build for a Python in a browser.
    from sqlalchemy.ext.asyncio import AsyncConnection

BATCH = 1000
"""Keys that one statement deletes."""

VERSION_LENGTH = 16

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

    @property
    def version(self) -> str:
        """Another text has another version; an equal text has the same, however it came about."""
        return _fingerprint(self.text)[:VERSION_LENGTH]


class NoteChanged(Failure):
    """A note has another text than the one that was edited.

    Args:
        note: The note as it is now.
    """

    status = 409
    code = "NOTE_CHANGED"
    message = "This note was changed in the meantime."

    def __init__(self, note: Note) -> None:
        super().__init__()
        self.note = note


class Notes:
    """Lists, adds, edits and deletes the notes of one user at a time.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(
        self, user_id: str, *, words: Sequence[str] = (), before: int | None = None, limit: int
    ) -> list[Note]:
        """Return a user's notes, newest first.

        Args:
            user_id: The owner.
            words: Only notes that contain all of these, in upper or lower case.
            before: Only notes that are older than this one.
            limit: The most to return.
        """
        query = select(notes).where(notes.c.user_id == user_id, *map(_contains, words))
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

    async def replace(self, user_id: str, note_id: int, text: str, version: str) -> Note | None:
        """Replace a note's text; return the note, or None if this user has none with this id.

        A request may be repeated: a note that has the text already is returned as it is.

        Args:
            user_id: The owner.
            note_id: The note.
            text: The new text.
            version: The version that was edited.

        Raises:
            NoteChanged: The note has neither this version nor this text.
        """
        mine = (notes.c.id == note_id, notes.c.user_id == user_id)
        while rows := await self._database.rows(select(notes).where(*mine)):
            note = Note(rows[0].id, rows[0].text, rows[0].created_at)
            if note.text == text:
                return note
            if note.version != version:
                raise NoteChanged(note)
            # Another request may be faster by a millisecond; then the note is looked at again.
            query = update(notes).where(*mine, notes.c.text == note.text).values(text=text)
            if await self._database.rows(query.returning(notes.c.id)):
                return replace(note, text=text)
        return None

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


def _contains(word: str) -> ColumnElement[bool]:
    """Return a condition that ignores case; databases ignore only that of ASCII everywhere."""
    cases = {word, word.lower(), word.upper(), word.title()}
    return or_(*(notes.c.text.icontains(case, autoescape=True) for case in sorted(cases)))


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
