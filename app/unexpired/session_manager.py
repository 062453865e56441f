"""State shared by AsyncClient and Client: the session, its stored record, and event dispatch.

Everything here is synchronous, so nothing else in the page runs between reading the store and
writing it. A change is stored first; then its events are emitted.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from unexpired.content import RequestOptions, build_request
from unexpired.dialect import Dialect, response_with
from unexpired.effects import Effect, Send
from unexpired.errors import (
    BadReply,
    NotSignedIn,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)
from unexpired.events import EventEmitter
from unexpired.hints import names_hint, site_hint, skew_hint, unbound_hint
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.policy import Policy
from unexpired.ports import Clock, MemoryStore, Navigator, TokenStore
from unexpired.proofs import Proof, draft
from unexpired.session import Session
from unexpired.session_record import Generation, Record, UnknownRecord, loads
from unexpired.sign_in_redirect import is_sign_in, reason_for, return_path, sign_in_url
from unexpired.streams import Reading
from unexpired.token_response import Tokens, parse_token_response
from unexpired.token_server import TokenServer


class SessionManager:
    """The session of one client, its store and its listeners."""

    def __init__(  # noqa: PLR0913 - the ports, and who issues the tokens
        self,
        options: Options,
        store: TokenStore,
        navigator: Navigator,
        clock: Clock,
        forget_key: Callable[[str], None] = lambda _: None,
        *,
        token_server: TokenServer | None = None,
    ) -> None:
        self.options = options
        self.session: Session = Session(jitter=random.random, new_attempt=new_attempt)
        self.policy: Policy = Policy(self.session, options, clock, token_server=token_server)
        self.emitter: EventEmitter = EventEmitter()
        self._store = store
        self._navigator = navigator
        self._clock = clock
        self._forget_key = forget_key
        self._text: str | None = None  # the stored text when it was last read or written
        self._written: Record | None = None  # the record in this text
        self._is_leaving = False
        # Goes to the provider, or returns False: where there is no sign-in page of the
        # application's, and before it shows that page, if the provider may show nothing.
        self.leave: Callable[[], bool] = lambda: False
        self.leaves_in_silence = False

    # -- The store -----------------------------------------------------------------------------

    @property
    def shares_its_store(self) -> bool:
        """Whether other tabs or programs may refresh the same session."""
        return type(self._store) is not MemoryStore

    def load(self) -> None:
        """Continue the stored session, if there is one; remove a damaged one."""
        stored = self._read()
        if isinstance(stored, Record):
            self.session.restore(stored, self._clock.monotonic())
            self._written = stored
            if stored.dumps(self.options.api) != self._text:
                self._write(stored)  # An earlier version stored it: now it belongs to this API.
        elif stored is not None and stored.is_damaged:
            self._write(None)

    def reload(self) -> None:
        """Take over what another tab has stored since the last look."""
        if self._store.load() == self._text:
            return
        stored = self._read()
        if isinstance(stored, UnknownRecord):
            if stored.of_another_api:
                return  # A client of another API was given the same key: not about this session.
            if stored.is_damaged and self.session.record is not None:
                self._write(self.session.record)  # Damage ends no session that is still known.
                return
            if stored.is_damaged:
                self._write(None)
            stored = None
        self._written = stored
        self.session.adopt(stored, self._clock.now(), self._clock.monotonic())
        self.commit()  # If the session did not adopt it, its own record is stored again.

    def reload_after(self, effect: Effect) -> None:
        """Take over what another tab has stored meanwhile; nothing for a request without auth."""
        if not isinstance(effect, Send) or effect.request.auth:
            self.reload()

    def commit(self) -> None:
        """Persist the session if it changed, forget the keys of others, then emit its events."""
        if self.session.record is not self._written:
            self._write(self.session.record)
        dropped, self.session.dropped_keys = self.session.dropped_keys, []
        for key in dropped:
            self._forget_key(key)
        events, self.session.events = self.session.events, []
        for name, details in events:
            self._react(name, *details)
            self.emitter.emit(name, *details)

    def _read(self) -> Record | UnknownRecord | None:
        """Return the stored record, or why it cannot be continued, or None if nothing is stored."""
        self._text = self._store.load()
        try:
            is_exact = self.options.provider is not None
            text = self._text
            return None if text is None else loads(text, self.options.api, is_exact=is_exact)
        except UnknownRecord as unknown:
            return unknown

    def _write(self, record: Record | None) -> None:
        self._written = record
        self._text = record.dumps(self.options.api) if record else None
        if self._text is None:
            self._store.clear()
        else:
            self._store.save(self._text)

    # -- Redirects -----------------------------------------------------------------------------

    def redirect_if_signed_out(self, error: UnexpiredError) -> None:
        """Redirect to the sign-in page when a request was made without a session.

        After an end that redirected nobody, the next request that needs the session redirects.
        """
        if isinstance(error, NotSignedIn):
            self._redirect("")
        elif self.session.is_end_quiet and isinstance(error, SessionExpired | SessionEnded):
            self.session.is_end_quiet = False
            self._redirect(reason_for(error.code))

    def return_path(self, default: str) -> str:
        """Return the address that the person was sent to sign in from, or the default."""
        return return_path(
            self._navigator.here(), login_url=self.options.login_url, default=default
        )

    def return_path_here(self) -> str:
        """Return the address to come back to from a provider: where the person is, or was."""
        here = self._navigator.here()
        return self.return_path("/") if is_sign_in(here, self.options.login_url) else here

    def _react(self, event: str, *details: object) -> None:
        if event == "signed_in":
            self.page_shown()
        elif event == "expired" and not self.session.is_end_quiet:
            self._redirect(reason_for(str(details[0])))
        elif event == "signed_out" and details == ("elsewhere",):
            # The provider might sign the person in again at once.
            self._redirect(reason_for("SIGNED_OUT"), may_leave=False)

    def _redirect(self, reason: str, *, may_leave: bool = True) -> None:
        """Go to the sign-in page, once for all requests that find no session.

        Args:
            reason: Why, as a word for the sign-in page; empty: nobody was signed in.
            may_leave: Whether the provider's own page may take its place.
        """
        here, login_url = self._navigator.here(), self.options.login_url
        if self.options.on_expired != "redirect" or self._is_leaving or is_sign_in(here, login_url):
            return
        self._is_leaving = True
        leaves = may_leave and (self.leaves_in_silence or not login_url)
        if leaves and self.leave():
            return
        if not login_url:
            self.page_shown()
            return
        self._navigator.go(sign_in_url(login_url, here=here, reason=reason))
        # A hash route shows at once; another page takes a while, and Back may return from it.
        self._is_leaving = not is_sign_in(self._navigator.here(), login_url)

    def page_shown(self) -> None:
        """Note that the page is shown, so that the next request may redirect again."""
        self._is_leaving = False

    # -- Tokens from elsewhere -----------------------------------------------------------------

    def adopt(self, tokens: Response | Mapping[str, Any]) -> None:
        """Start a session with tokens that the application got; see ``AsyncClient.adopt``."""
        now, dialect = self._clock.now(), self.policy.server.dialect
        response = tokens if isinstance(tokens, Response) else response_with(tokens)
        is_ours = response is not tokens and response.value_at(dialect.access_token) is None
        translated = (Dialect() if is_ours else dialect).read_sign_in(response)
        parsed = parse_token_response(translated, requested_at=now, received_at=now)
        if parsed is not None:
            self._adopt(parsed, tokens.request if isinstance(tokens, Response) else None)
            return
        hint = names_hint(dialect, response.fields)
        if response is not tokens:
            raise ValueError(f"adopt: {hint}")
        named = dialect.named(response)
        error = BadReply(named.message, status_code=response.status_code, code=named.code)
        if response.is_success:
            error.add_note(hint)
        raise error

    def _adopt(self, tokens: Tokens, request: Request | None) -> None:
        has_key = request is not None or tokens.is_bound
        key = self.session.take_key(request) if has_key else None
        if request is not None and request.auth != "sign_in":
            self.session.unbound_because = None  # It is the reason of an earlier sign-in.
        try:
            known = self.policy.server.identified(tokens, tokens)
            self.policy.begin(new_session_name(), known, key)
        finally:
            self.session.drop_key(key)
            self.commit()

    # -- Proofs of possession ------------------------------------------------------------------

    def draft(self, public: Mapping[str, str], method: str, url: str, proof: Proof) -> bytes:
        """Return what is to be signed for one request; see ``proofs.draft``."""
        return draft(proof, public, method, url, now=self._clock.now(), jti=new_attempt())

    # -- Requests ------------------------------------------------------------------------------

    def request(self, method: str, url: str, options: RequestOptions) -> Request:
        """Return the request that these arguments describe, with an absolute URL.

        Raises:
            ValueError: If the URL or the body cannot be sent.
        """
        request = build_request(method, url, options, self.options.resolve)
        return self.with_idempotency_key(self.options.with_headers(request))

    def reading(self, request: Request, options: RequestOptions) -> Reading:
        """Return how the body of the response to a request is read.

        Args:
            request: The request as the caller made it.
            options: The options of the call.
        """
        return Reading(
            request=request,
            silence=options.get("timeout", self.options.timeout),
            progress=options.get("download_progress"),
            name=self.options.dialect.named,
            lose=lambda error: self.note_no_response(request, error),
        )

    def watch(self, request: Request) -> SessionWatch:
        """Return what ends a request of several connections with the session it began in."""
        return SessionWatch(self, request)

    def with_idempotency_key(self, request: Request) -> Request:
        """Return a POST to a trusted origin with one key for all its attempts.

        The header is that of draft-ietf-httpapi-idempotency-key-header, section 2.
        """
        if request.method != "POST" or "idempotency-key" in request.headers:
            return request
        if not self.options.sends_idempotency_keys or not self.options.trusts(request.url):
            return request
        return request.with_header("idempotency-key", f'"{secrets.token_urlsafe(16)}"')

    def note_no_response(self, request: Request, error: Unreachable) -> None:
        """Note a request that its caller waits for no longer, in the error and in the log."""
        error.note_request(request)
        self.policy.log.note_no_response(request, error, self._clock.now())

    # -- What a page may show ------------------------------------------------------------------

    @property
    def user(self) -> Mapping[str, Any] | None:
        """The user who is signed in, or None."""
        return self.session.record.tokens.user if self.session.record else None

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires; None without a token or if it does not say."""
        record = self.session.record
        if record is None or record.tokens.expires_at is None:
            return None
        return max(record.tokens.expires_at - self._clock.now(), 0.0)

    @property
    def lifetime(self) -> float | None:
        """How long the access token lives in total, in seconds; None if unknown."""
        record = self.session.record
        return record.tokens.lifetime if record else None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server still asks to wait (``Retry-After``); None if it does not."""
        return self.session.retry_after_left(self._clock.monotonic()) or None

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh; None if there will be none."""
        record = self.session.record
        if record is None or not record.can_renew or record.tokens.expires_at is None:
            return None
        pause = self.session.pause_left(self._clock.monotonic())
        if self.session.failures:  # A refresh that failed is tried again, due or not.
            return pause
        return max(record.due_at(self.options.margin) - self._clock.now(), pause, 0.0)

    @property
    def _unbound_hint(self) -> str | None:
        record = self.session.record
        is_unbound = record is not None and record.key is None
        return unbound_hint(self.options, self.session.unbound_because) if is_unbound else None

    def diagnose(self) -> dict[str, Any]:
        """Return facts that help to find a fault, without secrets."""
        record = self.session.record
        hints = skew_hint(record.tokens.skew if record else None), site_hint(self.options)
        return {
            "state": self.session.state,
            "generation": record.generation.number if record else None,
            "expires_in": self.expires_in,
            "refresh_in": self.refresh_in,
            "lifetime": self.lifetime,
            "skew": record.tokens.skew if record else None,
            "can_renew": record.can_renew if record else False,
            "refused": record.refused if record else None,
            "bound": record is not None and record.key is not None,
            "dpop": self._unbound_hint,
            "failures": self.session.failures,
            "store": type(self._store).__name__,
            "margin": self.options.margin,
            "hints": [hint for hint in hints if hint],
            "last_failures": self.policy.log.last_failures,
        }


class SessionWatch:
    """Ends a request of several connections when the person signs out or is replaced.

    What it brings is of the person who it began with, and so is the place where it goes on.

    Args:
        manager: The session of the client.
        request: The request.
    """

    def __init__(self, manager: SessionManager, request: Request) -> None:
        self._manager = manager
        self._request = request
        self._began_in: Generation | None = None

    def check(self) -> None:
        """Raise if the session that the request began in was signed out or replaced.

        Raises:
            SessionEnded: If it was. A session that the server has ended is no matter here.
        """
        if self._was_replaced():
            error = SessionEnded("SIGNED_OUT")
            error.note_request(self._request)
            raise error

    @contextmanager
    def connected(self, close: Callable[[], None]) -> Iterator[None]:
        """Watch over one connection, from when its head has arrived.

        Args:
            close: Closes the connection.

        Raises:
            SessionEnded: See ``check``.
        """
        self.check()
        record = self._manager.session.record
        if self._began_in is None and record is not None and self._carries_token():
            self._began_in = record.generation

        def on_change(*_: object) -> None:
            if self._was_replaced():
                close()

        offs = [self._manager.emitter.on(name, on_change) for name in ("signed_in", "signed_out")]
        try:
            yield
        finally:
            for off in offs:
                off()

    def _carries_token(self) -> bool:
        request = self._request
        is_ours = "authorization" not in request.headers and request.auth != "sign_in"
        return bool(request.auth) and is_ours and self._manager.options.trusts(request.url)

    def _was_replaced(self) -> bool:
        began_in = self._began_in
        return began_in is not None and self._manager.session.was_replaced(began_in)


def new_attempt() -> str:
    """Return a new id for a refresh: 128 random bits, which nobody can guess."""
    return secrets.token_urlsafe(16)


def new_session_name() -> str:
    """Return a name for a new session on this device."""
    return secrets.token_hex(8)
