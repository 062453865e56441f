"""Signing in at a provider, for the client that awaits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from inspect import isawaitable
from typing import Any, cast

from unexpired.errors import SignInFailed, UnexpiredError, Unreachable
from unexpired.oidc.authorization import MAX_AGE, Asked, PendingSignIn
from unexpired.oidc.device import Device, DevicePrompt
from unexpired.oidc.flows import ProviderFlows
from unexpired.oidc.provider_server import ProviderServer
from unexpired.ports import SignInPlace, SignInWindow
from unexpired.session_manager import SessionManager, new_session_name
from unexpired.session_record import Record
from unexpired.sign_in_redirect import sign_in_url
from unexpired.timers import timeout_after

_log = logging.getLogger("unexpired")

# OpenID Connect Core 1.0, 3.1.2.6: the person must do something, which `prompt=none` rules out.
MUST_ASK = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)

QUIET_SECONDS = 60.0
"""How long a tab is not sent to the provider by itself again: an API that refuses what the provider
has just issued must not send the person to and fro without end."""

DRAFT, OWNER, BACK, LEFT = "draft", "owner", "back", "left"
"""What is noted in the tab: the draft, whose it is (a ``sub``), where they were, and when they were
sent away."""


class AsyncProviderSignIn:
    """Signs the people of one client in at its provider, and out.

    Args:
        manager: The session of the client.
        place: Where it runs: a page or a program.
        drive: Performs the steps of a flow.
        start: Starts work that nobody waits for.
        new_key: Makes a key to bind a session to.
        is_watched: Returns whether the page is visible.
    """

    def __init__(  # noqa: PLR0913 - what it needs of its client
        self,
        manager: SessionManager,
        place: SignInPlace,
        *,
        drive: Callable[[Generator[Any, Any, Any]], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, None]], object],
        new_key: Callable[[], Awaitable[str | None]],
        is_watched: Callable[[], bool],
    ) -> None:
        self._manager = manager
        self._place = place
        self._drive = drive
        self._start = start
        self._new_key = new_key
        self._is_watched = is_watched
        self._server = cast("ProviderServer", manager.policy.server)
        self._flows = ProviderFlows(manager.policy, self._server, place.pending)
        self._answer = place.take_answer(self._flows.redirect_uri())
        self._finishing: asyncio.Task[None] | None = None
        self._may_leave = True  # Not after a sign-out: the provider may sign the person in again.
        self._leaves_when_shown = False
        manager.leave = self._leave_once
        manager.leaves_in_silence = self._server.provider.silent
        manager.emitter.on("signed_out", self._stay)
        manager.emitter.on("signed_in", self._note_sign_in)

    # -- Signing in ----------------------------------------------------------------------------

    async def sign_in(
        self,
        *,
        hint: str = "",
        prompt: str = "",
        max_age: int | None = None,
        popup: bool | Callable[[str], object] = False,
        device: Callable[[DevicePrompt], object] | None = None,
    ) -> None:
        """Sign in at the provider; see ``AsyncClient.sign_in``."""
        if device is not None:
            await self._sign_in_by_device(device)
            return
        # Before anything is awaited: a browser opens windows only right after a click.
        uri = self._flows.redirect_uri(is_popup=bool(popup))
        window = self._place.window(uri, popup)
        await self._visit(window, Asked(hint=hint, prompt=prompt, max_age=max_age))

    async def _sign_in_by_device(self, show: Callable[[DevicePrompt], object]) -> None:
        found: list[Device] = []
        await self._drive(self._flows.begin_at_device(found.append))
        shown = show(found[0].prompt)
        if isawaitable(shown):
            await shown
        key = await self._key()
        await self._drive(self._flows.sign_in_by_device(found[0], new_session_name(), key))

    async def _visit(self, window: SignInWindow, asked: Asked, *, silent: bool = False) -> None:
        """Show the provider's page; a session begins where that comes back to this window."""
        try:
            await self._drive(self._flows.discover())
            self._forget_draft_of_another()
            url = self._flows.begin(
                asked,
                redirect_uri=window.redirect_uri,
                back=self._place.pending.get(BACK) or self._manager.return_path_here(),
                draft=self._draft(),
                silent=silent,
                person=self._person() or self._place.pending.get(OWNER) or "",
            )
            answer = await _answer_in_time(window, url)
        finally:
            window.close()
        await self._redeem(answer, self._flows.take(answer))

    async def _redeem(self, answer: str, pending: PendingSignIn) -> None:
        key = await self._key()
        await self._drive(self._flows.redeem(answer, pending, new_session_name(), key))

    async def _key(self) -> str | None:
        return await self._new_key() if self._manager.options.sends_proofs else None

    def _draft(self) -> str:
        """Return the draft; a mistake of the application's in it keeps nobody from signing in."""
        option = self._manager.options.draft
        if option is None:
            return self._place.pending.get(DRAFT) or ""
        try:
            draft: object = option() or ""
        except Exception as error:  # noqa: BLE001 - its text may quote the draft
            _log.warning("the draft could not be kept: %s", type(error).__name__)
            return ""
        if not isinstance(draft, str):
            _log.warning("the draft could not be kept: draft must return a text")
            return ""
        return draft

    def _person(self) -> str:
        """Return the ``sub`` of who is signed in, or was until the session expired."""
        record = self._manager.session.record
        user = record.tokens.user if record else self._manager.session.last_user
        return str((user or {}).get("sub") or "")

    def _forget_draft_of_another(self) -> None:
        """Forget what somebody left in this tab, if another person is signed in now."""
        owner = self._place.pending.get(OWNER)
        if owner and self._manager.session.record is not None and owner != self._person():
            self._forget_draft()

    def _forget_draft(self) -> None:
        for name in (DRAFT, OWNER, BACK):
            self._place.pending.remove(name)

    # -- Coming back ---------------------------------------------------------------------------

    async def finish(self) -> None:
        """Finish a sign-in whose answer the page was opened with; show where the person was.

        Who needs the session meanwhile waits for it.

        Raises:
            SignInFailed: If it did not work, and nobody is signed in.
            Unreachable: If the provider cannot be reached now.
        """
        if self._answer is not None:
            answer, self._answer = self._answer, None
            self._finishing = asyncio.ensure_future(self._finish(answer))
            self._finishing.add_done_callback(self._forget_finishing)
        if self._finishing is not None:
            await asyncio.shield(self._finishing)

    def _forget_finishing(self, task: asyncio.Task[None]) -> None:
        self._finishing = None
        if not task.cancelled():
            task.exception()  # So that asyncio does not report that nobody has looked at it.

    async def _finish(self, answer: str) -> None:
        try:
            pending = self._flows.take(answer)
        except SignInFailed:
            if self._manager.session.record is None:
                raise
            return  # Opened again, or forged: the person who is signed in stays so.
        self._note(pending)
        try:
            await self._redeem(answer, pending)
        except (SignInFailed, Unreachable) as error:
            if self._manager.session.record is not None:
                _log.warning("another sign-in did not work: %s", type(error).__name__)
                self._show(pending)  # The person who is signed in stays so.
            elif pending.silent and isinstance(error, SignInFailed) and error.code in MUST_ASK:
                await self._ask(pending)
            else:
                raise
        else:
            self._show(pending)

    def _show(self, pending: PendingSignIn) -> None:
        self._place.pending.remove(BACK)
        is_lost = self._manager.options.storage == "memory"  # With the page that it is in.
        here = self._manager.return_path_here()
        is_other_page = pending.back.partition("#")[0] != here.partition("#")[0]
        if pending.back and not (is_lost and is_other_page):
            self._place.show(pending.back)

    def _note(self, pending: PendingSignIn) -> None:
        """Keep what the person must not lose, also if they have to begin once more."""
        notes = self._place.pending
        with suppress(SignInFailed):  # There is no room: then it is only lost later.
            if pending.back:
                notes.set(BACK, pending.back)
            if pending.draft:
                notes.remove(DRAFT)
                notes.set(OWNER, pending.person)  # First: no draft is there without its owner.
                notes.set(DRAFT, pending.draft)

    async def _ask(self, pending: PendingSignIn) -> None:
        """Let the person sign in after the provider could not do that in silence."""
        login_url = self._manager.options.login_url
        if login_url:
            self._place.show(sign_in_url(login_url, here=pending.back, reason="expired"))
        else:
            await self._visit(self._place.window(self._flows.redirect_uri(), popup=False), Asked())

    def take_draft(self) -> str:
        """Return the draft that was kept when the person left, once; empty if there is none.

        It is for the person who was signed in when it was kept, and waits until they are again.
        """
        notes = self._place.pending
        self._forget_draft_of_another()
        if notes.get(OWNER) and self._manager.session.record is None:
            return ""
        draft = notes.get(DRAFT)
        notes.remove(DRAFT)
        notes.remove(OWNER)
        return draft or ""

    # -- Leaving by itself ---------------------------------------------------------------------

    def page_shown(self) -> None:
        """Leave now, if the session has ended while nobody saw the page."""
        if self._leaves_when_shown and self._manager.session.record is None:
            self._leave_once()

    def _leave_once(self) -> bool:
        """Go to the provider at the end of a session, unless this tab has just come from there.

        Returns whether it goes there, now or when the page is seen.
        """
        self._leaves_when_shown = False
        if self._answer is not None or self._finishing is not None:
            self._manager.page_shown()
            return True  # They have just come back from there.
        if not self._may_leave or not self._is_due():
            return False
        self._leaves_when_shown = not self._is_watched()
        if self._leaves_when_shown:
            self._manager.page_shown()  # Another request may come before that.
        else:
            self._start(self._leave())
        return True

    def _is_due(self) -> bool:
        try:
            left = float(self._place.pending.get(LEFT) or "-inf")
        except ValueError:
            return True
        return not 0 <= self._manager.policy.clock.now() - left < QUIET_SECONDS

    async def _leave(self) -> None:
        try:
            self._place.pending.set(LEFT, repr(self._manager.policy.clock.now()))
            window = self._place.window(self._flows.redirect_uri(), popup=False)
            await self._visit(window, Asked(), silent=self._server.provider.silent)
        except (UnexpiredError, TypeError) as error:  # The latter where no page can be shown.
            _log.warning("the sign-in at the provider did not begin: %s", type(error).__name__)
            if not (isinstance(error, SignInFailed) and error.code == "ABANDONED"):
                self._place.pending.remove(LEFT)  # Else the way back would lead there again.
            self._manager.page_shown()  # The next request tries again.

    def _stay(self, where: object) -> None:
        self._may_leave = False
        if where == "here":  # Else it may be an end that another tab has found.
            self._forget_draft()

    def _note_sign_in(self, *_: object) -> None:
        self._may_leave, self._leaves_when_shown = True, False
        self._forget_draft_of_another()

    # -- The rest ------------------------------------------------------------------------------

    async def userinfo(self) -> Mapping[str, Any]:
        """Return what the provider knows of the user; see ``AsyncClient.userinfo``."""
        found: dict[str, Any] = {}
        await self._drive(self._flows.userinfo(found.update))
        return found

    async def sign_out(self, record: Record | None) -> None:
        """Let the provider end its own session, by showing its page."""
        self._place.pending.remove(LEFT)  # Back from there, the page may leave to sign in again.
        flow = self._flows.sign_out_url(record)
        urls: list[str] = []
        await self._drive(_collected(flow, urls))
        if urls[0]:
            self._place.leave(urls[0])


async def _answer_in_time(window: SignInWindow, url: str) -> str:
    """Return the answer to a visit.

    Raises:
        SignInFailed: ``SIGN_IN_TIMED_OUT``, if none comes in the time after which it would be
            refused: a link that nobody opens must not keep a notebook's cell waiting.
    """
    try:
        async with timeout_after(MAX_AGE):
            return await window.visit(url)
    except TimeoutError:
        raise SignInFailed("SIGN_IN_TIMED_OUT") from None


def _collected(flow: Generator[Any, Any, str], found: list[str]) -> Generator[Any, Any, None]:
    """Perform a flow and keep what it returns: a driver returns nothing."""
    found.append((yield from flow))
