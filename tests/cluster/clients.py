"""Honest clients: each keeps a token until a newer one is acknowledged, and backs off as ours."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.cluster.connections import Connection, Failed, Response
from tests.cluster.endings import Endings
from tests.cluster.ledger import HeldSession, Ledger, Outcome
from tests.cluster.topology import ACCESS_SECONDS, PASSWORD
from unexpired.backoff import backoff

MAX_PAUSE = 1.0
MARGIN = ACCESS_SECONDS / 4
"""Seconds before its expiry at which a token is renewed, as the library does."""

FINAL_SECONDS = 30.0

SESSION_IS_OVER = {"REFRESH_EXPIRED", "REFRESH_INVALID", "REFRESH_REUSED", "SESSION_REVOKED"}


@dataclass
class User:
    """A user, whose clients share their sessions' fate.

    Attributes:
        ending: How many requests to end all sessions are on their way.
        endings: How many there were ever.
    """

    name: str
    sessions: list[HeldSession] = field(default_factory=list)
    ending: int = 0
    endings: int = 0

    def live(self) -> list[HeldSession]:
        """Return the sessions that nobody has ended."""
        self.sessions = [one for one in self.sessions if not one.has_ended]
        return self.sessions

    @contextmanager
    def ends_all(self) -> Iterator[None]:
        """Note that within this context all sessions may end."""
        self.ending += 1
        self.endings += 1
        try:
            yield
        finally:
            self.ending -= 1


class Client:
    """One browser of a user, with one session at a time and up to two tabs.

    Args:
        user: Whose it is.
        tabs: Two connections to the proxy.
        ledger: Counts what happens.
        endings: Verifies that what has ended stays ended.
        chance: Chooses what is done next.
    """

    def __init__(
        self,
        user: User,
        tabs: tuple[Connection, Connection],
        ledger: Ledger,
        endings: Endings,
        chance: random.Random,
    ) -> None:
        self._user = user
        self._connection, self._second_tab = tabs
        self._ledger = ledger
        self._endings = endings
        self._chance = chance
        self._failures = 0
        self._session: HeldSession | None = None

    async def run(self, until: asyncio.Event) -> None:
        """Use the service until the event, then see that the session is still good."""
        actions = [self._me, self._list, self._renew, self._two_tabs]
        actions += [self._sign_out, self._sign_out_everywhere, self._end_elsewhere]
        weights = [60, 12, 14, 9, 3, 0.7, 1.3]
        while not until.is_set():
            if self._session is None:
                await self._sign_in()
            elif self._is_due(self._session):
                await self._renew(self._session)
            else:
                await self._chance.choices(actions, weights)[0](self._session)
            await asyncio.sleep(MAX_PAUSE * self._chance.random())
        await self._finish()
        self._connection.close()
        self._second_tab.close()

    def _is_due(self, session: HeldSession) -> bool:
        # Now and then the margin is ignored, as by a page whose timers slept: so tokens expire.
        margin = MARGIN if self._chance.random() < 0.5 else 0
        return session.attempt is not None or session.expires_at - time.monotonic() < margin

    async def _finish(self) -> None:
        """Refresh once more, so that no loss goes unseen."""
        ends = time.monotonic() + FINAL_SECONDS
        self._failures = 0
        while (session := self._session) and time.monotonic() < ends:
            if await self._refresh(session, self._connection):
                await self._me(session)
                return

    # -- What it does --------------------------------------------------------------------------

    async def _sign_in(self) -> None:
        begun = self._user.endings
        body = {"username": self._user.name, "password": PASSWORD}
        response = await self._ask("POST", "/api/login", body)
        if response is None or not await self._is(response, 200):
            return
        self._ledger.wrote()
        session = HeldSession.from_response(self._user.name, response.body)
        # A request to end them all that was on its way meanwhile may have met this one too.
        session.may_have_ended = self._user.ending > 0 or self._user.endings != begun
        self._session = self._ledger.hold(session)
        self._user.live().append(session)

    async def _me(self, session: HeldSession) -> None:
        await self._call(session, "GET", "/api/me", 200)

    async def _list(self, session: HeldSession) -> None:
        await self._call(session, "GET", "/api/sessions", 200)

    async def _renew(self, session: HeldSession) -> None:
        await self._refresh(session, self._connection)

    async def _two_tabs(self, session: HeldSession) -> None:
        """Refresh in two tabs at once, which found the same token and attempt in the record."""
        await asyncio.gather(
            self._refresh(session, self._connection), self._refresh(session, self._second_tab)
        )

    async def _refresh(self, session: HeldSession, connection: Connection) -> bool:
        """Refresh; return whether the session has newer tokens."""
        token, access = session.refresh, session.access
        body = {"refreshToken": token, "attempt": session.begin_attempt()}
        response = await self._ask("POST", "/api/refresh", body, connection=connection)
        if response is None:
            return False
        if response.status == 200:
            self._succeed()
            self._ledger.wrote()
            session.store(response.body)
            self._endings.expires(session, access)
            return True
        if response.status != 409 and response.code not in SESSION_IS_OVER:
            await self._surprise(response)
            return False
        self._succeed()
        if session.refresh == token:
            self._end(session, f"refresh {response.status} {response.code}")
        return session.refresh != token

    async def _sign_out(self, session: HeldSession) -> None:
        session.may_have_ended = True
        body = {"refreshToken": session.refresh}
        while (response := await self._ask("POST", "/api/logout", body)) is None:
            pass
        if await self._is(response, 204):
            self._endings.ended(session)
            self._session = None

    async def _sign_out_everywhere(self, session: HeldSession) -> None:
        with self._user.ends_all():
            while self._session is session:
                ending = list(self._user.live())
                for one in ending:
                    one.may_have_ended = True
                if await self._call(session, "POST", "/api/logout-all", 204):
                    for one in ending:
                        self._endings.ended(one)
                    self._session = None

    async def _end_elsewhere(self, session: HeldSession) -> None:
        """End another session of the same user, from the list of devices."""
        others = [one for one in self._user.live() if one is not session]
        if others:
            other = self._chance.choice(others)
            other.may_have_ended = True
            if await self._call(session, "DELETE", f"/api/sessions/{other.id}", 204):
                self._endings.ended(other)

    # -- How it asks ---------------------------------------------------------------------------

    async def _call(self, session: HeldSession, method: str, path: str, expected: int) -> bool:
        """Make a call with the access token; return whether it did what it should."""
        token = session.access
        response = await self._ask(method, path, token=token)
        if response is None:
            return False
        if response.status == 401 and response.code == "TOKEN_EXPIRED":
            self._succeed()
            await self._renew(session)
            return False
        if response.status in {401, 403}:
            self._succeed()
            if session.access == token:
                self._end(session, f"{path} {response.status} {response.code}")
            return False
        if response.status == 404 and method == "DELETE":
            self._succeed()  # It had ended before.
            return False
        return await self._is(response, expected)

    async def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        connection: Connection | None = None,
    ) -> Response | None:
        """Send a request; return what decides something, or None after a pause."""
        asked_to_wait = 0.0
        try:
            response = await (connection or self._connection).ask(method, path, body, token)
        except Failed as failed:
            self._ledger.note(Outcome.BROKEN, failed.how)
        else:
            if response.status < 500 and response.status != 429:
                return response
            self._ledger.note(outcome_of(response), f"{method} {path} {response.status}")
            asked_to_wait = response.retry_after
        await self._back_off(asked_to_wait)
        return None

    async def _is(self, response: Response, status: int) -> bool:
        if response.status == status:
            self._succeed()
            return True
        await self._surprise(response)
        return False

    async def _surprise(self, response: Response) -> None:
        self._ledger.note(Outcome.OTHER, f"{response.status} {response.code}")
        await self._back_off(response.retry_after)

    def _succeed(self) -> None:
        self._failures = 0
        self._ledger.note(Outcome.OK)

    async def _back_off(self, asked_to_wait: float) -> None:
        self._failures += 1
        await asyncio.sleep(max(backoff(self._failures, self._chance.random()), asked_to_wait))

    def _end(self, session: HeldSession, reason: str) -> None:
        """End a session because the server says so; unless somebody ended it, it is lost."""
        if session.may_have_ended:
            self._endings.ended(session)
        else:
            self._ledger.lose(session, reason)
            session.has_ended = True
        if self._session is session:
            self._session = None


def outcome_of(response: Response) -> Outcome:
    """Return how a response that is no success is counted."""
    if response.status == 503 and response.retry_after:
        return Outcome.UNAVAILABLE
    if response.status in {502, 504}:
        return Outcome.GATEWAY
    return Outcome.LIMITED if response.status == 429 else Outcome.OTHER
