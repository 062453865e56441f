"""The one owner of sessions: only this module opens, refreshes or ends one.

A session ends in two places: its row in the database, which every node reads, and this node's
memory of revocations, which access tokens are checked against. Each operation keeps one order.

==============  ===========================================================  =====================
operation       order                                                        database down
==============  ===========================================================  =====================
``open``        the application's claims, database, then tokens              no session, no tokens
``refresh``     the application's user and claims, where it has any; then    nothing changes
                database, then revocations on reuse or revoked, then tokens
``sign_out``    revocations, then database                                   ends here; owed
``revoke`` …    database, then revocations                                   nothing changes
==============  ===========================================================  =====================

What is owed is written once the database answers again. ``follow`` does that, and brings back what
the database has lost: a session that ended stays ended while any node remembers it.

Signing out needs no answer from the database: the caller holds the session's own token, so its
access tokens end on this node even during an outage. Every other ending has to learn from the
database which sessions it ends, and whether the caller may end them. Tokens come last, because a
token that is given out for a state that was never committed would be refused, or seen as reuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from unexpired_server.errors import (
    BadCredentials,
    Failure,
    InvalidProof,
    RefreshExpired,
    RefreshInvalid,
    RefreshReused,
    RefreshSuperseded,
    ResetInvalid,
    SessionRevoked,
    Unavailable,
)
from unexpired_server.sessions.audit import Cause, Kind
from unexpired_server.sessions.directory import Directory
from unexpired_server.sessions.grants import Grants
from unexpired_server.sessions.refresh_tokens import RefreshTokenClaims, RefreshTokens
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.rules import Decision, Session, is_bound, seconds_left
from unexpired_server.sessions.store import BATCH, SessionInfo, Store
from unexpired_server.sessions.user import User
from unexpired_server.sessions.usernames import account_hash
from unexpired_server.sessions.users import Account
from unexpired_server.tokens.access_tokens import NO_CLAIMS, AccessTokens

REFUSALS: dict[Decision, type[Failure]] = {
    Decision.REUSE: RefreshReused,
    Decision.EXPIRED: RefreshExpired,
    Decision.REVOKED: SessionRevoked,
    Decision.SUPERSEDED: RefreshSuperseded,
    Decision.NO_PROOF: InvalidProof,
    Decision.OTHER_KEY: RefreshInvalid,
}


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """The tokens of one session; lifetimes in seconds.

    Attributes:
        access_token: The access token.
        expires_in: Its lifetime.
        refresh_token: The refresh token; None when the server issues none.
        refresh_expires_in: Its lifetime.
        is_bound: Whether only the holder of the session's key may refresh it.
        token_type: How the access token is sent.
    """

    access_token: str
    expires_in: int
    refresh_token: str | None = None
    refresh_expires_in: int | None = None
    is_bound: bool = False
    token_type: Literal["Bearer", "DPoP"] = "Bearer"  # noqa: S105 - a type

    def __repr__(self) -> str:
        return f"SessionTokens(expires_in={self.expires_in})"


class SessionAdmin:
    """Lists and ends sessions; this much needs no signing keys.

    Args:
        store: The rows.
        revocations: This node's memory of ended sessions.
        now: The clock, in Unix seconds.
    """

    def __init__(self, store: Store, revocations: Revocations, now: Callable[[], float]) -> None:
        self._store = store
        self._revocations = revocations
        self._now = now

    async def live(
        self, user_id: str | None = None, *, after: str | None = None, limit: int = BATCH
    ) -> list[SessionInfo]:
        """Return sessions that can be refreshed, newest first; of all users, by their id.

        Args:
            user_id: Of this user; of all users when None.
            after: The id of the last session of the page before.
            limit: The most to return.
        """
        return await self._store.live(self._now(), user_id, after=after, limit=limit)

    async def follow(self) -> None:
        """Learn what other processes revoked, and repeat what the database has lost.

        Raises:
            Unavailable: The database does not respond; nothing is forgotten.
        """
        if not (lost := await self._revocations.poll()):
            return
        try:
            await self._store.revoke_again(lost, self._now())
        except Unavailable:
            self._revocations.owe(lost)
            raise

    async def sign_out(self, session_id: str, address: str | None = None) -> None:
        """End a session whose own token the caller has presented.

        Args:
            session_id: The session.
            address: The client's address.

        Raises:
            Unavailable: The database does not respond; the access tokens end here all the same.
        """
        self._revocations.add([session_id], is_recorded=False)
        try:
            was_live = await self._store.revoke(
                session_id, self._now(), address=address, cause=Cause.SIGN_OUT
            )
        except Unavailable:
            self._revocations.owe([session_id])
            raise
        if was_live:
            self._revocations.add([session_id])

    async def revoke(
        self, session_id: str, user_id: str | None = None, address: str | None = None
    ) -> bool:
        """End a live session by its id; return whether there was one.

        Args:
            session_id: The session.
            user_id: Only a session of this user; of any user when None.
            address: The client's address.
        """
        cause = Cause.OPERATOR if user_id is None else Cause.SIGN_OUT_ELSEWHERE
        if not await self._store.revoke(session_id, self._now(), user_id, address, cause=cause):
            return False
        self._revocations.add([session_id])
        return True

    async def revoke_all(self, user_id: str, address: str | None = None) -> None:
        """End every live session of a user."""
        self._revocations.add(await self._store.revoke_all(user_id, self._now(), address))

    async def set_password(self, user: Account, password_hash: str) -> None:
        """Replace a password, and end the sessions that were opened with the old one."""
        self._revocations.add(await self._store.set_password(user, password_hash, self._now()))

    async def change_password(
        self, user: Account, password_hash: str, session_id: str, address: str | None = None
    ) -> None:
        """Replace a user's own password, and end their other sessions.

        Args:
            user: The user, as read when the present password was verified.
            password_hash: The new password's hash.
            session_id: The session that asks, which goes on.
            address: The client's address.

        Raises:
            BadCredentials: The user was disabled or the password changed meanwhile.
        """
        revoked = await self._store.replace_password(
            user,
            password_hash,
            self._now(),
            kind=Kind.PASSWORD_CHANGED,
            address=address,
            kept=session_id,
        )
        if revoked is None:
            raise BadCredentials
        self._revocations.add(revoked)

    async def reset_password(
        self, user: Account, password_hash: str, address: str | None = None
    ) -> None:
        """Replace a forgotten password, and end all of the user's sessions.

        Args:
            user: The user, as read when the link was verified.
            password_hash: The new password's hash.
            address: The client's address.

        Raises:
            ResetInvalid: The user was disabled or the password changed meanwhile.
        """
        revoked = await self._store.replace_password(
            user, password_hash, self._now(), kind=Kind.PASSWORD_RESET, address=address
        )
        if revoked is None:
            raise ResetInvalid
        self._revocations.add(revoked)

    async def note_sign_up(self, user_id: str, address: str | None = None) -> None:
        """Record that a user has created an account."""
        await self._store.note_sign_up(user_id, self._now(), address)

    async def disable(self, user: Account) -> None:
        """Disable a user's sign-in, and end the user's sessions."""
        self._revocations.add(await self._store.disable(user, self._now()))


class Sessions(SessionAdmin):
    """Opens, refreshes, lists and ends sessions.

    Args:
        store: The rows.
        revocations: This node's memory of ended sessions.
        access_tokens: Issues access tokens.
        refresh_tokens: Writes and reads refresh tokens; None when the server issues none.
        now: The clock, in Unix seconds.
        directory: Where the users come from.
        grants: What access tokens say of their user.
    """

    def __init__(  # noqa: PLR0913 - a session is made of these
        self,
        store: Store,
        revocations: Revocations,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens | None,
        now: Callable[[], float],
        *,
        directory: Directory,
        grants: Grants,
    ) -> None:
        super().__init__(store, revocations, now)
        self._directory = directory
        self._grants = grants
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens

    @property
    def can_refresh(self) -> bool:
        """Whether sessions have refresh tokens."""
        return self._refresh_tokens is not None

    def read_refresh_token(self, token: str) -> RefreshTokenClaims | None:
        """Return what a refresh token says, or None when it is not authentic."""
        return self._refresh_tokens.read(token) if self._refresh_tokens else None

    async def open(
        self,
        user: User,
        device: str,
        address: str | None = None,
        *,
        username: str = "",
        jkt: str | None = None,
    ) -> SessionTokens:
        """Open a session for a user who has been authenticated.

        Args:
            user: The user, as read when the password was verified.
            device: The client's name for itself, at most 200 characters.
            address: The client's address.
            username: As typed, where the user signed in with one.
            jkt: The thumbprint of the key that the session is bound to, if any.

        Raises:
            BadCredentials: The user was disabled or the password changed meanwhile.
            ServerFault: An access token cannot hold the user's claims.
            Unavailable: The database does not respond, or the application's hook failed.
        """
        further = await self._grants.of(user)
        account = account_hash(username) if username else None
        now = self._now()
        session = await self._store.open_session(
            user, device, now, address, account=account, jkt=jkt
        )
        if session is None:
            raise BadCredentials
        return self._tokens(session, user.scopes, further)

    async def refresh(
        self,
        claims: RefreshTokenClaims,
        address: str | None = None,
        attempt: str | None = None,
        *,
        jkt: str | None = None,
    ) -> SessionTokens:
        """Refresh a session.

        Args:
            claims: Of an authentic refresh token.
            address: The client's address.
            attempt: The client's id of this refresh, if it gave one.
            jkt: The thumbprint of the key that the request proves, if any.

        Raises:
            InvalidProof: The session is bound, and the request proves no key; nothing has changed.
            RefreshExpired: The session has ended by itself.
            RefreshInvalid: The session is bound to another key; nothing has changed.
            RefreshReused: The token was used before, so the session is revoked.
            RefreshSuperseded: This is a late duplicate of a refresh that is done.
            SessionRevoked: The session was revoked before, or its user is gone.
            ServerFault: An access token cannot hold the user's claims; nothing has changed.
            Unavailable: The database does not respond, or the application's users or hook failed;
                nothing has changed.
        """
        if self._revocations.has_recorded(claims.session_id):
            raise SessionRevoked  # Whatever the database says: it may have been restored.
        # Before the step: what is committed is always answered.
        user = await self._user_of(claims.session_id, jkt, address) if self._asks else None
        further = await self._grants.of(user) if user else NO_CLAIMS
        outcome = await self._store.refresh(claims, self._now(), address, attempt, jkt=jkt)
        if outcome.decision is Decision.ROLL_FORWARD:
            self._revocations.reread()
        if outcome.decision in {Decision.REUSE, Decision.REVOKED}:
            self._revocations.add([claims.session_id])
        if outcome.session is None or outcome.decision in REFUSALS:
            raise REFUSALS[outcome.decision]
        return self._tokens(outcome.session, user.scopes if user else outcome.scopes, further)

    @property
    def _asks(self) -> bool:
        """Whether the application is asked about a user at each refresh."""
        return self._directory.is_own or self._grants.has_hook

    async def note_refused_proof(
        self, session_id: str, address: str | None, *, has_proof: bool
    ) -> None:
        """Record a refresh that raised ``InvalidProof`` or ``RefreshInvalid``.

        Args:
            session_id: The session.
            address: The client's address.
            has_proof: Whether the request proved a key, which was another one.
        """
        cause = Cause.OTHER_KEY if has_proof else Cause.NO_PROOF
        await self._store.note_refused_proof(session_id, self._now(), address, cause=cause)

    async def _user_of(self, session_id: str, jkt: str | None, address: str | None) -> User | None:
        """Return the user of a session as of now; None when the session has ended.

        None, too, when it is bound to another key than the request proves: who does not have the
        key may not even ask the application, which could end the session.

        Raises:
            SessionRevoked: The application has no such user any more, so the session has ended.
        """
        known = await self._store.user_of(session_id, jkt)
        if known is None or not self._directory.is_own:
            return known
        user = await self._directory.find(known.id)
        if user is None:
            now, cause = self._now(), Cause.DISABLED
            await self._store.revoke(session_id, now, address=address, cause=cause)
            self._revocations.add([session_id])
            raise SessionRevoked
        return user

    async def note_failed_sign_in(self, user_id: str | None, address: str | None) -> None:
        """Record a failed sign-in, for the user with this name where known."""
        await self._store.note_failed_sign_in(user_id, self._now(), address)

    def _tokens(
        self, session: Session, scopes: frozenset[str], further: Mapping[str, Any]
    ) -> SessionTokens:
        left = seconds_left(session, self._now(), self._store.policy)
        issue = self._access_tokens.issue
        access = issue(session.user_id, session.id, left, scopes, further, jkt=session.jkt)
        tokens = self._refresh_tokens
        return SessionTokens(
            access.token,
            access.expires_in,
            tokens.write(session) if tokens else None,
            int(left) if tokens else None,
            is_bound=is_bound(session, self._store.policy),
            token_type="DPoP" if access.is_bound else "Bearer",
        )
