"""What to send next, as generators of effects. No await, no clock, no socket, no JavaScript.

A flow yields ``Send``, ``Sleep`` or ``Refresh`` and is sent the outcome; a failure of the transport
is thrown into it as ``Unreachable``. It returns the response or raises a typed error. So one policy
serves the async client, the sync client, a test that feeds it by hand, and a simulation.

    call ── usable record ── send ── classify ─┬─ done
                                               ├─ replay   a newer generation is stored: no refresh
                                               ├─ refresh  once, then replay once
                                               └─ end      the session has ended
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import InitVar, dataclass, field, replace
from enum import Enum, auto
from typing import Any, NoReturn, cast

from unexpired.backoff import MIN_DELAY
from unexpired.call_log import CallLog
from unexpired.claims import claims
from unexpired.dialect import Dialect
from unexpired.effects import Effect, Flow, Refresh, Send, Sleep, Wait
from unexpired.errors import (
    BadReply,
    NotSignedIn,
    ReplayImpossible,
    SecondStepRequired,
    SessionEnded,
    SessionExpired,
    SignInFailed,
    UnexpiredError,
    Unreachable,
)
from unexpired.hints import NO_COOKIE_SET, PROOF_REFUSED, fitting_dialects, names_hint
from unexpired.messages import SAFE_METHODS, Request, Response
from unexpired.options import Options
from unexpired.origins import origin_of
from unexpired.path_server import PathServer
from unexpired.ports import Clock
from unexpired.proofs import (
    BEARER,
    KEY_LOST,
    KeyLost,
    Proof,
    next_proof,
    nonce_header,
    refuses_proof,
    wants_another_proof,
)
from unexpired.session import Session
from unexpired.session_record import Generation, Record
from unexpired.token_response import (
    ENDINGS,
    EXPIRED,
    SUPERSEDED,
    Tokens,
    error_code,
    is_outage,
    parse_retry_after,
    parse_token_response,
    refusal,
    sign_in_error,
)
from unexpired.token_server import PathOption, TokenServer

AGREEMENT_SECONDS = 0.05
"""How long a tab without the lock waits between storing an attempt and reading it back: longer than
a write takes to be seen in another tab. So tabs agree on one attempt before they send it."""

# A request whose token is still valid waits only this share of refresh_timeout for a new one.
REFRESH_AHEAD_SHARE = 0.25


class Outcome(Enum):
    """What a response means for the request."""

    DONE = auto()
    REPLAY = auto()
    REFRESH = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one client.

    Args:
        session: The session of the requests.
        options: The client's options.
        clock: The time: the device's clock for expiry, the monotonic one for waiting.
        log: What became of the requests.
        nonces: What other servers gave to be signed next, by origin.
        token_server: Issues the tokens; by default the API.

    Attributes:
        server: Issues the tokens.
    """

    session: Session
    options: Options
    clock: Clock
    log: CallLog = field(default_factory=CallLog)
    nonces: dict[str | None, str] = field(default_factory=dict)
    token_server: InitVar[TokenServer | None] = None
    server: TokenServer = field(init=False)

    def __post_init__(self, token_server: TokenServer | None) -> None:
        object.__setattr__(self, "server", token_server or PathServer(self.options))

    # -- A request -----------------------------------------------------------------------------

    def call(self, request: Request, key: str | None = None, *, is_trusted: bool = False) -> Flow:
        """Make one request, with everything that its token needs.

        Args:
            request: The request.
            key: A new key, for a request that is the application's own sign-in.
            is_trusted: Whether it goes to the provider, which has issued the token.

        Raises:
            NotSignedIn: If there is no session, unless the request needs none.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If no response came.
            ReplayImpossible: If the request must be repeated and its body is used up.
        """
        is_trusted = is_trusted or self.options.trusts(request.url)
        if "authorization" in request.headers or not is_trusted:
            # The caller set its own Authorization, or the origin is not trusted: send unchanged.
            return (yield from self._send(request))
        if request.auth == "optional":
            return (yield from self._call_optionally(request))
        if request.auth is not True:
            return (yield from self._call_without_token(request, key))
        record = yield from self._usable_record()
        response = yield from self._send_with_token(request, record)
        return (yield from self._handle(request, response, record))

    def _call_without_token(self, request: Request, key: str | None) -> Flow:
        """Make one request that needs no session; with a key it may begin one."""
        sent = self._with_cookies(request) if request.auth == "sign_in" else request
        if key is None:
            return (yield from self._send(sent))
        proved = None
        try:
            response, proved = yield from self._prove_new_key(sent, key, None, self.options.dialect)
            self._note_response(sent, response)
            return response
        finally:
            if proved is not None and response.is_success:
                self.session.offer_key(request, proved)
            else:
                self.session.drop_key(key)

    def _call_optionally(self, request: Request) -> Flow:
        """Make one request, without the token if there is no session or it ends meanwhile.

        An end that only this request has found redirects nobody: a public page stays as it is. The
        next request that needs the session redirects.
        """
        try:
            record = yield from self._usable_record()
            response = yield from self._send_with_token(request, record)
        except (NotSignedIn, SessionExpired, SessionEnded):  # The last two also for want of a key.
            self.session.keep_end_quiet()
            return (yield from self._send(request))
        try:
            return (yield from self._handle(request, response, record))
        except (SessionExpired, SessionEnded) as over:
            self.session.keep_end_quiet()
            if over.code == "SIGNED_OUT" and request.method not in SAFE_METHODS:
                raise  # The person signed out during the request, which may have succeeded.
        if not request.is_replayable:
            raise ReplayImpossible
        return (yield from self._send(request))

    def _handle(self, request: Request, response: Response, record: Record) -> Flow:
        """Return the response to a request with a token, which may have to be sent once more."""
        outcome = self._classify(request, response, record.generation)
        if outcome is Outcome.REFRESH:
            yield from self._refresh_until_deadline(record, self.options.refresh_timeout)
        if outcome is Outcome.DONE:
            return response
        return (yield from self._replay(request, self.session.record_for(record.generation)))

    def _replay(self, request: Request, record: Record) -> Flow:
        if not request.is_replayable:
            raise ReplayImpossible
        response = yield from self._send_with_token(request, record)
        # It may end the session, but is not tried a third time.
        self._classify(request, response, record.generation)
        return response

    def _classify(self, request: Request, response: Response, sent: Generation) -> Outcome:
        """Return what the response means; raise if it ends the session."""
        if response.status_code not in {401, 403} and not self.session.was_replaced(sent):
            return Outcome.DONE
        current = self.session.record_for(sent)  # Raises: no response counts for an ended session.
        if not _is_from_there(request, response):
            return Outcome.DONE
        translated = self.options.dialect.read_response(response)
        outcome = classify(translated, sent, current.generation)
        if outcome is Outcome.END:
            raise self.session.expire(sent, translated.code or EXPIRED)
        return outcome

    def _send_with_token(self, request: Request, record: Record) -> Flow:
        # RFC 6750, section 2.1: only in the header, never in the query or the body.
        tokens = record.tokens
        sent = request.with_header("authorization", f"{tokens.scheme} {tokens.access_token}")
        proof = None if tokens.scheme == BEARER else self.proof_for(request.url, record)
        return self._send(sent, proof)

    def _send(self, request: Request, proof: Proof | None = None) -> Flow:
        try:
            response: Response = yield from self._exchange(
                request, None, self.options.dialect, proof
            )
        except KeyLost:
            return (yield from self.end_without_key(proof))
        self._note_response(request, response, is_proved=proof is not None)
        return response

    def _note_response(
        self, request: Request, response: Response, *, is_proved: bool = False
    ) -> None:
        named = self.options.dialect.named(response)
        hint = PROOF_REFUSED if is_proved and refuses_proof(named) else ""
        self.log.note_response(request, named, self.clock.now(), hint=hint)

    def _exchange(
        self,
        request: Request,
        timeout: float | None,
        dialect: Dialect,
        proof: Proof | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Generator[Send, Response, Response]:
        try:
            response = yield Send(request, timeout, proof)
            again = proof and self._next_proof(request, proof, dialect.named(response))
            if not again or not is_wanted() or self._was_signed_out(again):
                return response
            if not request.is_replayable:
                raise ReplayImpossible
            return (yield Send(request, timeout, again))
        except Unreachable as error:
            self.log.note_no_response(request, error, self.clock.now())
            raise

    # -- Proofs of possession ------------------------------------------------------------------

    def proof_for(self, url: str, record: Record) -> Proof | None:
        """Return what a call to a URL must prove besides its token; None for nothing."""
        tokens = record.tokens
        if record.key is None or tokens.scheme == BEARER:
            return None
        nonce = self.nonces.get(origin_of(url), tokens.nonce)
        return Proof(record.key, tokens.access_token, nonce, tokens.skew)

    def end_without_key(self, proof: Proof | None) -> Generator[Effect, Any, NoReturn]:
        """End the session whose key is gone, if it is still this one, and raise the error.

        Raises:
            SessionExpired: Its key is gone.
            SessionEnded: Another tab has ended it, and its key with it.
        """
        yield from self._see_other_tabs()
        record = self.session.require()
        if proof is None or record.key != proof.key:
            raise SessionEnded("SIGNED_OUT") from None
        raise self.session.expire(record.generation, KEY_LOST) from None

    def _next_proof(self, request: Request, proof: Proof, response: Response) -> Proof | None:
        """Return one more proof for a request, if another one can help; keep the nonce.

        Meanwhile the session may have been signed out, or refreshed by another tab: then the
        request is not wanted any more.
        """
        if not _is_from_there(request, response):
            return None
        again = next_proof(request, proof, response)
        self._note_nonce(request, nonce_header(response) or (again.nonce if again else None))
        return again

    def _was_signed_out(self, call: Proof) -> bool:
        """Return whether the session of a call is over, so that its token must not be sent."""
        record = self.session.record
        return call.access_token is not None and (record is None or record.key != call.key)

    def _note_nonce(self, request: Request, nonce: str | None) -> None:
        """Keep the nonce for the next proof; the session's record has the one for refreshes."""
        if nonce is not None:
            self.nonces[origin_of(request.url)] = nonce

    def _prove_new_key(
        self, request: Request, key: str, timeout: float | None, dialect: Dialect
    ) -> Generator[Send, Response, tuple[Response, str | None]]:
        """Send a sign-in with a proof by a new key, or without one where that is refused.

        Returns the response, and the key if it was proved.
        """
        record, sent_at = self.session.record, self.clock.monotonic()
        proof = Proof(key, skew=record.tokens.skew if record else 0.0)
        try:
            response = yield from self._exchange(request, timeout, dialect, proof)
        except KeyLost:
            self.session.unbound_because = "no_key"
        except Unreachable:
            if not self._may_be_cors(request, sent_at):
                raise
            self.session.unbound_because = "cors"
        else:
            named = dialect.named(response)
            if not wants_another_proof(named) or not request.is_replayable:
                return response, key
            self._note_refused_proof(request, named)
        return (yield from self._exchange(request, timeout, dialect)), None

    def _may_be_cors(self, request: Request, sent_at: float) -> bool:
        """Return whether a request without a response may be one that CORS did not let out.

        A page learns no more than that (Fetch Standard, network error), but at once. It may have
        arrived all the same: a second sign-up would meet the account that the first one has made.
        """
        home = origin_of(self.options.page_url)
        is_late = self.clock.monotonic() - sent_at >= self.options.exchange_timeout
        is_other = home is not None and origin_of(request.url) != home
        is_repeatable = request.is_replayable and request.auth != "sign_in"
        return is_other and is_repeatable and not is_late

    def _note_refused_proof(self, request: Request, named: Response) -> None:
        self.session.unbound_because = "refused"
        now = self.clock.now()
        self.log.note_response(request, named, now, hint=PROOF_REFUSED, is_mistake=True)

    # -- A usable token ------------------------------------------------------------------------

    def ensure_token(self) -> Wait:
        """See to it that the session's access token can be used, as a request does.

        Raises:
            NotSignedIn: If there is no session.
            SessionExpired: If the session has expired.
            SessionEnded: If the session was revoked or signed out.
            Unreachable: If the token has expired and cannot be refreshed now.
        """
        yield from self._usable_record()

    def _usable_record(self) -> Generator[Effect, Any, Record]:
        """Return a record whose access token can be sent, refreshed if it is due."""
        record = self.session.require()
        now = self.clock.now()
        if not record.can_renew and record.tokens.access_token:
            return record  # If it cannot be refreshed, the server decides when it has expired.
        if now < record.due_at(self.options.margin):
            return record
        if record.has_expired(now):
            yield from self._refresh_until_deadline(record, self.options.refresh_timeout)
        elif not self._pause_left():
            yield from self._refresh_ahead(record)
        return self.session.record_for(record.generation)

    def _refresh_ahead(self, record: Record) -> Wait:
        """Try to refresh early; the token is still valid, so a failure costs nothing."""
        try:
            yield Refresh(record.generation, self.options.refresh_timeout * REFRESH_AHEAD_SHARE)
        except (Unreachable, SessionExpired):
            if record.has_expired(self.clock.now()):
                yield from self._refresh_until_deadline(record, self.options.refresh_timeout)

    def _refresh_until_deadline(self, record: Record, seconds: float) -> Wait:
        """Refresh, trying again during an outage for this many seconds."""
        deadline, refusal = self.clock.monotonic() + seconds, cast("SessionExpired | None", None)
        while True:
            current = self.session.record_for(record.generation)
            if current.generation.is_newer_than(record.generation):
                return
            if not current.can_renew:
                ended = self.session.expire(current.generation, current.refused or EXPIRED)
                raise ended from refusal
            try:
                yield from self._attempt(current.generation, deadline)
            except SessionExpired as error:
                refusal = error  # The record now says so.
            except Unreachable:
                if self.clock.monotonic() + self._pause_left() >= deadline:
                    raise

    def _attempt(self, stale: Generation, deadline: float) -> Wait:
        pause, left = self._pause_left(), deadline - self.clock.monotonic()
        if pause >= left:
            raise Unreachable(retry_after=pause)
        yield Sleep(pause) if pause else Refresh(stale, left)

    def _pause_left(self) -> float:
        return self.session.pause_left(self.clock.monotonic())

    # -- Refresh, sign-in, sign-out ------------------------------------------------------------

    def renew(self, *, is_locked: bool = True) -> Generator[Effect, Any, None]:
        """Make one attempt to refresh the session's tokens, and store the result.

        Args:
            is_locked: Whether no other tab may refresh meanwhile.

        Raises:
            SessionExpired: If the server refused.
            SessionEnded: If the session was signed out or replaced in the meantime.
            Unreachable: If no usable response came.
        """
        stale = self.session.require().generation
        record = yield from self._begin_attempt(is_locked=is_locked)
        if record.refused is not None:
            raise SessionExpired(record.refused)
        if record.generation != stale:
            return  # Another tab was faster.
        requested_at = self.clock.now()
        response, hint = yield from self._send_refresh(record, record.attempt)
        if response.code != SUPERSEDED:
            self._accept_refresh(record, response, requested_at, hint)
        elif self.options.uses_cookie:
            # The browser has a newer cookie, of another tab: the next refresh is one of its own.
            self.session.drop_attempt(record.generation)
            self.session.note_failed_refresh(record.generation, self.clock.monotonic(), None)
            raise Unreachable
        elif not (yield from self._was_stored_elsewhere(record)):
            # Someone else has a copy of the tokens. Without its attempt the refresh counts as a
            # reuse, so that the server ends the session for both (RFC 9700, section 4.14.2).
            response, hint = yield from self._send_refresh(record, None)
            self._accept_refresh(record, response, requested_at, hint)

    def _begin_attempt(self, *, is_locked: bool) -> Generator[Effect, Any, Record]:
        """Return the record with the attempt that all tabs will send."""
        if not self.server.dialect.sends_attempts:
            return self.session.require()
        record = self.session.begin_attempt()
        if is_locked or record.refused is not None:
            return record
        yield Sleep(AGREEMENT_SECONDS, is_wakeable=False)  # Stored before it, read again after it.
        self.session.record_for(record.generation)
        return self.session.begin_attempt()

    def _send_refresh(
        self, record: Record, attempt: str | None
    ) -> Generator[Effect, Any, tuple[Response, str]]:
        """Return the response in our names, and a hint for developers."""
        dialect, tokens = self.server.dialect, record.tokens
        proof = record.key and Proof(record.key, nonce=tokens.nonce, skew=tokens.skew)
        self.session.is_refreshing = True
        try:
            request = yield from self.server.refresh_request(tokens, attempt)
            response = yield from self._fetch_tokens(
                request, proof or None, lambda: not self.session.is_stale(record.generation)
            )
        except KeyLost:
            yield from self._see_other_tabs()
            raise self._lose_key(record) from None
        except Unreachable:
            self.session.note_failed_refresh(record.generation, self.clock.monotonic(), None)
            raise
        finally:
            self.session.is_refreshing = False
        if record.key is None and refuses_proof(dialect.named(response)):
            raise self._lose_key(record)  # The session is bound to a key, and here is none.
        translated = dialect.read_refresh(response)
        return translated, self._note_exchange("refresh_path", request, response, translated)

    def _see_other_tabs(self) -> Wait:
        """Take over what another tab has just stored: it may have ended the session and its key."""
        yield Sleep(AGREEMENT_SECONDS, is_wakeable=False)

    def _lose_key(self, record: Record) -> UnexpiredError:
        """Note that the session cannot be refreshed without its key; return the error."""
        self.session.record_for(record.generation)  # Raises if the session ended meanwhile.
        self.session.lose_key(record.generation)
        return SessionExpired(KEY_LOST)

    def _fetch_tokens(
        self,
        request: Request,
        proof: Proof | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Generator[Send, Response, Response]:
        """Send a request for tokens; the response counts only if it is from where that went."""
        sent = self._with_cookies(self.options.with_headers(request))
        response = yield from self._exchange(
            sent, self.options.exchange_timeout, self.server.dialect, proof, is_wanted
        )
        return _from_there(request, response)

    def _note_exchange(
        self, option: PathOption, request: Request, response: Response, translated: Response
    ) -> str:
        """Note the response to a request for tokens; return a hint for developers, if any."""
        tokens = parse_token_response(translated, requested_at=0, received_at=0)
        hint = "" if tokens else self.server.hint(option, request, response)
        named = self.server.dialect.named(response)
        # Any network may answer with a page of its own, or with nothing: that is no mistake.
        is_mistake = bool(hint) and (named.is_error or bool(fitting_dialects(response.fields)))
        now = self.clock.now()
        self.log.note_response(request, named, now, hint=hint, is_mistake=is_mistake)
        return hint

    def _was_stored_elsewhere(self, record: Record) -> Generator[Effect, Any, bool]:
        """Return whether another tab has stored the result of a refresh."""
        yield from self._see_other_tabs()
        return self.session.record_for(record.generation).generation.is_newer_than(
            record.generation
        )

    def _accept_refresh(
        self, record: Record, response: Response, requested_at: float, hint: str
    ) -> None:
        current = self.session.record_for(record.generation)  # Raises if it ended meanwhile.
        if current.generation != record.generation:
            return  # Another tab was faster.
        code = refusal(response)
        tokens = parse_token_response(
            response, requested_at=requested_at, received_at=self.clock.now()
        )
        if code is not None:
            self.session.refuse(record.generation, code)
            raise _with_hint(SessionExpired(code), hint)
        if tokens is None:
            wait = parse_retry_after(response, self.clock.now())
            self.session.note_failed_refresh(record.generation, self.clock.monotonic(), wait)
            raise _with_hint(Unreachable(retry_after=wait), hint)
        if self.options.uses_cookie and _is_of_another_user(tokens, record):
            # Another tab has signed somebody else in, and its marker is not here yet.
            self.session.sign_out("elsewhere")
            raise SessionEnded("SIGNED_OUT")
        tokens = self._with_nonce(self._identified(tokens, record), record.tokens.nonce)
        self.session.renew(record.generation, tokens, self.clock.monotonic())

    def _identified(self, tokens: Tokens, record: Record) -> Tokens:
        """Return the tokens of a refresh; refuse them if they are not those of the same user."""
        try:
            return self.server.identified(tokens, record.tokens)
        except SignInFailed as error:
            self.session.refuse(record.generation, "REFRESH_INVALID")
            raise SessionExpired("REFRESH_INVALID") from error

    def _with_nonce(self, tokens: Tokens, before: str | None = None) -> Tokens:
        """Return new tokens with their own nonce, which is newer than that of a call.

        A server that took a nonce need not give it again: it counts until there is another one (RFC
        9449, section 8.2).
        """
        taken = self.nonces.pop(self.server.home, before)
        return replace(tokens, nonce=tokens.nonce or taken) if tokens.is_bound else tokens

    def _with_cookies(self, request: Request) -> Request:
        """Return a request that the browser sends with the session's cookie, if it is in one."""
        return replace(request, cookies=True) if self.options.uses_cookie else request

    def sign_in(
        self,
        session: str,
        username: str,
        password: str,
        further: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Generator[Send, Response, None]:
        """Exchange a username and a password for a session.

        Args:
            session: A new name for the session on this device, which is never sent.
            username: The person's name.
            password: Sent once and stored nowhere.
            further: Further fields of the request's body.
            key: A new key to bind the session to, which is dropped if the server does not.

        Raises:
            BadCredentials: If the server does not accept them.
            SecondStepRequired: If the server asks for a second step.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If the server refuses for another reason.
            TypeError: If a further field cannot be sent.
        """
        requested_at = self.clock.now()
        url, dialect = self.options.resolve(self.options.login_path), self.options.dialect
        if self.options.uses_cookie and dialect.is_own:
            further = {**(further or {}), "cookie": True}
        try:
            request = dialect.sign_in_request(url, username, password, further)
            response, proved = yield from self._fetch_first_tokens(request, key)
            self._accept_sign_in(session, request, response, requested_at, proved)
        finally:
            self.session.drop_key(key)

    def redeem(
        self,
        session: str,
        request: Request,
        identified: Callable[[Tokens], Tokens],
        key: str | None = None,
        expected: frozenset[str] = frozenset(),
    ) -> Generator[Send, Response, None]:
        """Exchange what a provider gave for a session.

        Args:
            session: A new name for the session on this device, which is never sent.
            request: The request for the tokens.
            identified: Checks whose tokens they are, and returns them with their user.
            key: A new key to bind the session to, which is dropped if the server does not.
            expected: Error codes that are no failure to log: the person has not decided yet.

        Raises:
            SignInFailed: If the provider refuses, or its tokens are not to be trusted.
            RateLimited: If there were too many attempts.
            Unreachable: If no usable response came.
            BadReply: If the response has no tokens.
        """
        requested_at = self.clock.now()
        response, proved = yield from self._fetch_first_tokens(request, key)
        if (code := self.server.dialect.named(response).code) in expected:
            raise SignInFailed(str(code))
        translated = self.server.dialect.read_sign_in(response)
        tokens = parse_token_response(
            translated, requested_at=requested_at, received_at=self.clock.now()
        )
        hint = self._note_exchange("login_path", request, response, translated)
        if tokens is None:
            raise _with_hint(self._redemption_error(response), hint)
        self.begin(session, identified(tokens), proved)

    def _redemption_error(self, response: Response) -> UnexpiredError:
        named = self.server.dialect.named(response)
        is_final = named.is_client_error and not is_outage(named.status_code)
        if is_final and named.code:
            return SignInFailed(error_code(named.code))  # Any text may come, and say too much.
        return sign_in_error(named, self.clock.now())

    def _fetch_first_tokens(
        self, request: Request, key: str | None
    ) -> Generator[Send, Response, tuple[Response, str | None]]:
        """Send a sign-in; return the response, and the key if it was proved."""
        if key is None:
            return (yield from self._fetch_tokens(request)), None
        sent = self._with_cookies(self.options.with_headers(request))
        response, proved = yield from self._prove_new_key(
            sent, key, self.options.exchange_timeout, self.server.dialect
        )
        return _from_there(request, response), proved

    def _accept_sign_in(
        self,
        session: str,
        request: Request,
        response: Response,
        requested_at: float,
        key: str | None,
    ) -> None:
        translated = self.server.dialect.read_sign_in(response)
        tokens = parse_token_response(
            translated, requested_at=requested_at, received_at=self.clock.now()
        )
        hint = self._note_exchange("login_path", request, response, translated)
        if tokens is None:
            raise _with_hint(self._sign_in_error(response, translated), hint)
        self.begin(session, tokens, key)

    def begin(self, session: str, tokens: Tokens, key: str | None) -> None:
        """Begin a session with the tokens of a sign-in.

        Args:
            session: A new name for it.
            tokens: Its tokens.
            key: The key that the sign-in has proved.

        Raises:
            BadReply: If the refresh token is in the response and not in a cookie.
        """
        if self.options.uses_cookie:
            if tokens.refresh_token is not None:
                raise _with_hint(BadReply(), NO_COOKIE_SET)
            tokens = replace(tokens, in_cookie=True)
        tokens = self._with_nonce(tokens)
        before = self.session.record
        self.session.sign_in(session, tokens, self.clock.monotonic(), key)
        if self.options.uses_cookie:
            self.session.unreported.clear()  # The server ended it, with the cookie of before.
        if self.options.provider is not None and before in self.session.unreported:
            self._keep_grant_of(before, tokens)

    def _keep_grant_of(self, before: Record, tokens: Tokens) -> None:
        """Revoke nothing of a session that one of the same user has replaced.

        A provider has one grant for a user of an application: to revoke the tokens of before would
        end the new session too (RFC 7009, section 2.1).
        """
        if (before.tokens.user or {}).get("sub") == (tokens.user or {}).get("sub"):
            self.session.unreported.remove(before)

    def _sign_in_error(self, response: Response, translated: Response) -> UnexpiredError:
        dialect, fields = self.options.dialect, response.fields
        if not dialect.asks_for_second_step(response):
            return sign_in_error(translated, self.clock.now())
        if fitting_dialects(fields):
            return BadReply(status_code=response.status_code)
        code = dialect.named(response).code
        error = SecondStepRequired(fields, code=code, response=response)
        # For a developer who expected tokens.
        return _with_hint(error, names_hint(dialect, fields) if response.is_success else "")

    def report_ends(self) -> Generator[Send, Response, None]:
        """Try to revoke at the server what was signed out or replaced on this device.

        On this device it is over anyway. What the server does not know yet is tried again later.
        """
        ended, self.session.unreported = self.session.unreported, []
        if self.options.uses_cookie and self.session.record is not None:
            return  # The cookie is that of a newer session.
        for record in ended:
            if not (yield from self._reports_end(record.tokens)):
                self.session.unreported.append(record)

    def _reports_end(self, tokens: Tokens) -> Generator[Send, Response, bool]:
        """Try to revoke tokens; return whether that is done, or will never be."""
        try:
            request = yield from self.server.sign_out_request(tokens)
            if request is None:
                return True
            sent = self._with_cookies(self.options.with_headers(request))
            response = yield from self._exchange(
                sent, self.options.refresh_timeout, self.server.dialect
            )
        except Unreachable:
            return False
        return not is_outage(response.status_code)

    # -- Staying ahead -------------------------------------------------------------------------

    def stay_ahead(self, *, tick: float, is_watched: Callable[[], bool]) -> Wait:
        """Refresh early while the page is visible; never returns.

        A refresh without a response is tried again even in a hidden page: the server may have
        taken the token, and takes it again only within its grace.

        Args:
            tick: The longest sleep, in seconds: timers stop while a machine sleeps, so each step
                reads the clock again.
            is_watched: Returns whether the page is visible.
        """
        while True:
            is_needed = is_watched() or self.session.failures > 0
            yield Sleep(min(self._idle_for(), tick) if is_needed else tick)
            record, is_needed = self.session.record, is_watched() or self.session.failures > 0
            if record is not None and is_needed and not self._idle_for():
                yield from self._maintain(record)

    def _idle_for(self) -> float:
        """Return the seconds until the session needs something."""
        record = self.session.record
        if record is None:
            return float("inf")
        if record.can_renew and self.session.failures:
            return self._pause_left()
        if self.session.has_warned:
            return max(self.session.ends_at - self.clock.monotonic(), 0.0)
        until_due = record.due_at(self.options.margin) - self.clock.now()
        return max(until_due, self._pause_left() if record.can_renew else 0.0, 0.0)

    def _maintain(self, record: Record) -> Wait:
        if record.can_renew:
            try:
                yield Refresh(record.generation, self.options.refresh_timeout)
            except UnexpiredError:  # The session notes it: paused, refused or ended.
                yield Sleep(MIN_DELAY)
        elif not record.tokens.access_token:
            self.session.expire(record.generation, record.refused or EXPIRED)
        elif not self.session.has_warned:
            self.session.warn(self.clock.now(), self.clock.monotonic())
        elif not self.session.postpone_end(self.clock.now(), self.clock.monotonic()):
            self.session.expire(record.generation, record.refused or EXPIRED)


def classify(response: Response, sent: Generation, current: Generation) -> Outcome:
    """Return what a response means for a request sent with one generation while one is current."""
    if response.status_code not in {401, 403}:
        return Outcome.DONE
    if current.is_newer_than(sent):
        return Outcome.REPLAY
    if response.code == EXPIRED:
        return Outcome.REFRESH
    return Outcome.END if response.code in ENDINGS else Outcome.DONE


def _is_from_there(request: Request, response: Response) -> bool:
    """Return whether the response is from where the token was sent.

    A redirect to another origin loses the token (Fetch, section 4.4, HTTP-redirect fetch), so its
    response says nothing of it.
    """
    return not response.url or origin_of(response.url) == origin_of(request.url)


def _is_of_another_user(tokens: Tokens, record: Record) -> bool:
    """Return whether an access token is not that of the session's user, as far as they say."""
    known = (record.tokens.user or {}).get("id")
    try:
        subject = claims(tokens.access_token).get("sub")
    except ValueError:
        return False
    return isinstance(known, str) and isinstance(subject, str) and known != subject


def _from_there(request: Request, response: Response) -> Response:
    if not _is_from_there(request, response):
        raise Unreachable
    return response


def _with_hint(error: UnexpiredError, hint: str) -> UnexpiredError:
    if hint:
        error.add_note(hint)
    return error
