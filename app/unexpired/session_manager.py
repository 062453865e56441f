"""What both clients share: the session held against its store, and what is told of its changes.

Everything here is synchronous, so between reading the store and writing it nothing else runs in
this page. Changes are written first and told afterwards.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from unexpired.content import Fields, File, encode, merge_params
from unexpired.errors import NotSignedIn, UnexpiredError
from unexpired.events import EventEmitter
from unexpired.messages import Headers, OneShot, Request
from unexpired.options import Options
from unexpired.origins import is_sign_in, return_path, sign_in_url
from unexpired.policy import Policy
from unexpired.ports import Clock, Navigator, TokenStore
from unexpired.session import Record, Session, UnknownRecord, loads
from unexpired.sign_in_redirect import reason_for


class RequestOptions(TypedDict, total=False):
    """What every call takes besides its method and its URL.

    Attributes:
        params: added to the URL's query.
        headers: header fields.
        json: any JSON value, sent as the body.
        content: bytes, text, or an iterable of bytes that can be sent once, sent as the body.
        data: form fields.
        files: form files by field: ``(name, bytes)`` or ``(name, bytes, content type)``.
        timeout: seconds for the whole call; None for no bound; the client's by default.
    """

    params: Fields
    headers: Mapping[str, str]
    json: Any
    content: bytes | str | OneShot
    data: Fields
    files: Mapping[str, File]
    timeout: float | None


class SessionManager:
    """The session of one client, its store and its listeners."""

    def __init__(
        self, options: Options, store: TokenStore, navigator: Navigator, clock: Clock
    ) -> None:
        self.options = options
        self.session = Session(jitter=random.random)
        self.policy = Policy(self.session, options, clock)
        self.emitter = EventEmitter()
        self._store = store
        self._navigator = navigator
        self._clock = clock
        self._text: str | None = None  # what the store held when it was last looked at
        self._written: Record | None = None  # the record that this text stands for
        self._is_leaving = False

    # -- The store -----------------------------------------------------------------------------

    def load(self) -> None:
        """Take up the session that was stored before, if there is one."""
        record = self._read()
        if record is not None:
            self.session.restore(record)
        self._written = record

    def reload(self) -> None:
        """Take over what another tab did to the store since it was last looked at."""
        if self._store.load() == self._text:
            return
        self._written = self._read()
        self.session.adopt(self._written, self._clock.now())
        self.commit()  # Where the session did not take it over, its own is written back.

    def commit(self) -> None:
        """Write down what has changed, then tell of it; lead away where a session has ended."""
        if self.session.record is not self._written:
            self._write(self.session.record)
        events, self.session.events = self.session.events, []
        for name, details in events:
            self._react(name, *details)
            self.emitter.emit(name, *details)

    def _read(self) -> Record | None:
        self._text = self._store.load()
        if self._text is None:
            return None
        try:
            return loads(self._text)
        except UnknownRecord as error:
            if not error.from_later_version:
                self._write(None)
            return None

    def _write(self, record: Record | None) -> None:
        self._written = record
        self._text = record.dumps() if record else None
        if self._text is None:
            self._store.clear()
        else:
            self._store.save(self._text)

    # -- The person ----------------------------------------------------------------------------

    def redirect_if_signed_out(self, error: UnexpiredError) -> None:
        """Lead to the sign-in page whoever makes a call without a session."""
        if isinstance(error, NotSignedIn):
            self._send_away("")

    def return_path(self, default: str) -> str:
        """Return where the person was before they were led to sign in, or the default."""
        return return_path(
            self._navigator.here(), login_url=self.options.login_url, default=default
        )

    def _react(self, event: str, *details: object) -> None:
        if event == "signed_in":
            self.page_shown()
        elif event == "expired":
            self._send_away(reason_for(str(details[0])))
        elif event == "signed_out" and details == ("elsewhere",):
            self._send_away(reason_for("SIGNED_OUT"))

    def _send_away(self, reason: str) -> None:
        """Go to the sign-in page, once for all calls that find the session missing."""
        here, login_url = self._navigator.here(), self.options.login_url
        if self.options.on_expired != "redirect" or self._is_leaving or is_sign_in(here, login_url):
            return
        self._is_leaving = True
        self._navigator.go(sign_in_url(login_url, here=here, reason=reason))
        # A hash route is there at once; another page takes a while, and may be left again by Back.
        self._is_leaving = not is_sign_in(self._navigator.here(), login_url)

    def page_shown(self) -> None:
        """Note that the page is shown: whoever left for the sign-in page has come back."""
        self._is_leaving = False

    # -- Requests ------------------------------------------------------------------------------

    def request(self, method: str, url: str, options: RequestOptions) -> Request:
        """Return the request that a call stands for.

        Raises:
            ValueError: if the URL or the body cannot be sent.
        """
        request = build_request(method, url, options)
        return self.with_idempotency_key(replace(request, url=self.options.resolve(request.url)))

    def with_idempotency_key(self, request: Request) -> Request:
        """Give a POST of ours one key for all its attempts.

        The header is that of draft-ietf-httpapi-idempotency-key-header, section 2.
        """
        if request.method != "POST" or "idempotency-key" in request.headers:
            return request
        if not self.options.idempotency_keys or not self.options.trusts(request.url):
            return request
        return request.with_header("idempotency-key", f'"{secrets.token_urlsafe(16)}"')

    # -- What a page may show ------------------------------------------------------------------

    @property
    def user(self) -> Mapping[str, Any] | None:
        """Who is signed in."""
        return self.session.record.tokens.user if self.session.record else None

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires; None without one, or when it does not say."""
        record = self.session.record
        if record is None or record.tokens.expires_at is None:
            return None
        return max(record.tokens.expires_at - self._clock.now(), 0.0)

    @property
    def lifetime(self) -> float | None:
        """How long the access token lives in all, in seconds; None when unknown."""
        record = self.session.record
        return record.tokens.lifetime if record else None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asked us to wait (``Retry-After``); None if it did not."""
        return self.session.retry_after_left(self._clock.monotonic()) or None

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh; None where there will be none."""
        record = self.session.record
        if record is None or not record.can_renew or record.tokens.expires_at is None:
            return None
        pause = self.session.pause_left(self._clock.monotonic())
        return max(record.due_at(self.options.margin) - self._clock.now(), pause, 0.0)

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        record = self.session.record
        return {
            "state": self.session.state,
            "generation": record.generation.number if record else None,
            "expires_in": self.expires_in,
            "refresh_in": self.refresh_in,
            "lifetime": self.lifetime,
            "skew": record.tokens.skew if record else None,
            "can_renew": record.can_renew if record else False,
            "refused": record.refused if record else None,
            "failures": self.session.failures,
            "store": type(self._store).__name__,
            "margin": self.options.margin,
        }


def build_request(method: str, url: str, options: RequestOptions) -> Request:
    """Return the request that a call stands for, wherever it will be made from.

    Raises:
        ValueError: if the body cannot be sent.
    """
    body, kind = encode(
        json=options.get("json"),
        content=options.get("content"),
        data=options.get("data"),
        files=options.get("files"),
    )
    headers = Headers(options.get("headers") or {})
    request = Request(method.upper(), merge_params(url, options.get("params")), headers, body)
    if kind is not None and "content-type" not in headers:
        request = request.with_header("content-type", kind)
    return request


def fresh_name() -> str:
    """Return a name for a new session on this device."""
    return secrets.token_hex(8)
