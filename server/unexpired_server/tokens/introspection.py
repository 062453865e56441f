"""Asks an introspection endpoint about tokens: each once for all callers, and few at a time."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Generator
from functools import partial
from http import HTTPStatus
from typing import Protocol

from unexpired_server.errors import Unavailable
from unexpired_server.tokens.answer_cache import AnswerCache
from unexpired_server.tokens.discovery import Discovery, spoken
from unexpired_server.tokens.documents import (
    Document,
    FetchError,
    NoConnectionError,
    RetryLaterError,
    retry_after,
)
from unexpired_server.tokens.flights import Pending
from unexpired_server.tokens.forks import renew_after_fork
from unexpired_server.tokens.forms import Form, FormResponse, post_form
from unexpired_server.tokens.introspected_tokens import Answer, IntrospectedTokens, Unacceptable
from unexpired_server.tokens.remote_value import RemoteValue
from unexpired_server.tokens.strict_json import read_object
from unexpired_server.tokens.workers import Workers

MAXIMUM_REQUESTS = 32
"""How many requests there are at once."""

WAIT = 5.0
"""Seconds that a caller waits for an answer."""

PAUSE = 1.0
"""Seconds without a request after the endpoint could not be reached, or asked for a pause."""

LONGEST_PAUSE = 60.0
"""Seconds; meanwhile nobody is let in whose token is not cached."""

LOG_PAUSE = 300.0
"""Seconds between two lines in the log about the same problem."""

logger: logging.Logger = logging.getLogger("unexpired.server")


class Endpoint(Protocol):
    """Where the endpoint is."""

    async def find(self) -> str:
        """Return its address, or raise ``Unavailable``."""
        ...

    def find_sync(self) -> str:
        """Do as ``find`` does, in a thread."""
        ...


class KnownEndpoint:
    """An endpoint at a given address.

    Args:
        address: The URL.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    async def find(self) -> str:
        """Return the address."""
        return self._address

    def find_sync(self) -> str:
        """Return the address."""
        return self._address


class DiscoveredEndpoint(RemoteValue):
    """The endpoint that an issuer's own document names (RFC 8414, section 2).

    Args:
        issuer: The issuer.
        now: The clock, in Unix seconds.

    Raises:
        ValueError: The issuer is no URL at which it can describe itself.
    """

    def __init__(self, issuer: str, now: Callable[[], float]) -> None:
        super().__init__("the introspection endpoint's address", now, None)
        self._discovery = Discovery(issuer, now, "introspection_endpoint")
        self._address = ""

    @property
    def is_known(self) -> bool:
        """Whether there is an address."""
        return bool(self._address)

    def read(self, *, again: bool) -> Generator[str, Document, float]:  # noqa: ARG002
        """Take the address; yield those of the issuer's documents."""
        self._address = yield from self._discovery.steps(again=True)
        return self._discovery.fresh_for

    async def find(self) -> str:
        """Return the address.

        Raises:
            Unavailable: It is not known yet, and could not be found in time.
        """
        await self.ready()
        return self._address

    def find_sync(self) -> str:
        """Do as ``find`` does, in a thread.

        Raises:
            Unavailable: It is not known yet, and could not be found in time.
        """
        self.ready_sync()
        return self._address


class RefusedClientError(FetchError):
    """The endpoint does not accept our own credentials."""


class Lookup(Pending):
    """A question about one token, and the answer once there is one.

    Attributes:
        outcome: The answer, or what is raised in its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outcome: Answer | Unavailable = Unavailable()

    def answer(self) -> Answer:
        """Return the answer.

        Raises:
            Unavailable: There is none.
        """
        if isinstance(self.outcome, Unavailable):
            raise Unavailable(self.outcome.retry_after)
        return self.outcome


class Introspection:
    """What an endpoint says of tokens (RFC 7662), for coroutines and threads.

    Args:
        endpoint: Where the endpoint is.
        authorization: The header with our own credentials.
        rules: Read the responses.
        cache: Keeps what was said.
        now: The clock, in Unix seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        authorization: str,
        rules: IntrospectedTokens,
        cache: AnswerCache,
        now: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._authorization = authorization
        self._rules = rules
        self._cache = cache
        self._now = now
        self._workers = Workers(MAXIMUM_REQUESTS)
        self._lookups: dict[bytes, Lookup] = {}
        self._lock = threading.Lock()
        self._paused_at = -math.inf
        self._pause = 0.0
        self._logged = ""
        self._logged_at = -math.inf
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's lookups, which nobody answers in a child process."""
        self._lock, self._lookups = threading.Lock(), {}

    async def ask(self, key: bytes, token: str) -> Answer:
        """Return what the endpoint says of a token.

        Args:
            key: The token's name in the cache.
            token: The token.

        Raises:
            Unavailable: It says nothing in time.
        """
        address = await self._endpoint.find()
        found = self._begin(key, token, address)
        if not isinstance(found, Lookup):
            return found
        await found.wait_async(WAIT)
        return found.answer()

    def ask_sync(self, key: bytes, token: str) -> Answer:
        """Do as ``ask`` does, and block.

        Args:
            key: The token's name in the cache.
            token: The token.

        Raises:
            Unavailable: It says nothing in time.
        """
        found = self._begin(key, token, self._endpoint.find_sync())
        if not isinstance(found, Lookup):
            return found
        found.wait(WAIT)
        return found.answer()

    def _begin(self, key: bytes, token: str, address: str) -> Answer | Lookup:
        """Return the lookup of a token that runs; start one if none does."""
        with self._lock:
            lookup = self._lookups.get(key)
            if lookup is not None and lookup.is_awaited:
                return lookup
            # It may have ended since the caller looked.
            if (answer := self._cache.find(key)) is not None:
                return answer
            if (rest := self._pause_left()) > 0:
                raise Unavailable(math.ceil(rest))
            lookup = Lookup()
            form = Form(
                address, {"token": token, "token_type_hint": "access_token"}, self._authorization
            )
            if not self._workers.submit(partial(self._run, lookup, key, form)):
                self._log("too many requests wait for an answer")
                raise Unavailable
            self._lookups[key] = lookup
            return lookup

    def _run(self, lookup: Lookup, key: bytes, form: Form) -> None:
        try:
            # Meanwhile those who wait may have given up, or the endpoint may be down.
            if lookup.age < WAIT and self._pause_left() <= 0:
                asked_at = self._now()
                answer = self._answer_in(post_form(form))
                lookup.outcome = self._cache.put(key, answer, asked_at)
        except Exception as exc:  # noqa: BLE001 - whatever it was, nothing is known of the token
            lookup.outcome = self._fail(exc)
        finally:
            with self._lock:
                if self._lookups.get(key) is lookup:
                    del self._lookups[key]
            lookup.end()

    def _answer_in(self, response: FormResponse) -> Answer:
        status = response.status
        if status == HTTPStatus.OK:
            return self._rules.read(response.content)
        if status == HTTPStatus.BAD_REQUEST and _is_of_another_kind(response.content):
            return Unacceptable()
        if status == HTTPStatus.UNAUTHORIZED:
            raise RefusedClientError("it does not accept our client_id and client_secret")
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            raise RetryLaterError(retry_after(response.headers) or PAUSE)
        raise FetchError(f"the response has status {status}")

    def _fail(self, exc: Exception) -> Unavailable:
        level = logging.ERROR if isinstance(exc, RefusedClientError) else logging.WARNING
        self._log(spoken(exc), level)
        if isinstance(exc, RetryLaterError):
            self._begin_pause(min(max(exc.seconds, PAUSE), LONGEST_PAUSE))
        # Other failures may be of this token only, and must not keep everybody out.
        elif isinstance(exc, NoConnectionError | TimeoutError | RefusedClientError):
            self._begin_pause(PAUSE)
        return Unavailable(max(1, math.ceil(self._pause_left())))

    def _begin_pause(self, seconds: float) -> None:
        self._pause, self._paused_at = seconds, self._now()

    def _pause_left(self) -> float:
        passed = self._now() - self._paused_at
        # A clock that was set back must not make it last longer.
        return self._pause - passed if 0 <= passed < self._pause else 0.0

    def _log(self, problem: str, level: int = logging.WARNING) -> None:
        now = self._now()
        # Each request may have the same problem, and would hide the rest of the log.
        if problem == self._logged and 0 <= now - self._logged_at < LOG_PAUSE:
            return
        self._logged, self._logged_at = problem, now
        logger.log(level, "the introspection endpoint could not be used (%s)", problem)


def _is_of_another_kind(content: bytes) -> bool:
    """Return whether the endpoint knows no tokens of this kind, such as JWTs."""
    try:
        return read_object(content).get("error") == "unsupported_token_type"
    except ValueError:
        return False
