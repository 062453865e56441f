"""What the clients offer alike: the verbs, and a look at the session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, Unpack

from unexpired.events import EventName, Listener
from unexpired.session import State
from unexpired.session_manager import RequestOptions, SessionManager

Reply_co = TypeVar("Reply_co", covariant=True)


class RequestMethods(ABC, Generic[Reply_co]):
    """Calls to an API; ``Reply_co`` is a Response, or the promise of one."""

    @abstractmethod
    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """Make one call; a non-2xx reply is data, not an error."""

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """GET; see ``request``."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """HEAD; see ``request``."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """OPTIONS; see ``request``."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """POST; see ``request``."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """PUT; see ``request``."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """PATCH; see ``request``."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Reply_co:
        """DELETE; see ``request``."""
        return self.request("DELETE", url, **options)


class BaseClient(RequestMethods[Reply_co]):
    """A client as its users see it.

    Args:
        manager: holds the session; two clients of one page may share it.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    @property
    def state(self) -> State:
        """``anonymous``, ``active``, ``refreshing``, ``degraded`` or ``expired``."""
        return self._manager.session.state

    @property
    def user(self) -> Mapping[str, Any] | None:
        """Who is signed in, or None."""
        return self._manager.user

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires, or None."""
        return self._manager.expires_in

    @property
    def lifetime(self) -> float | None:
        """How long the access token lives in all, in seconds; None when unknown."""
        return self._manager.lifetime

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asked us to wait (``Retry-After``); None if it did not."""
        return self._manager.retry_after

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh, or None."""
        return self._manager.refresh_in

    def on(self, event: EventName, listener: Listener) -> Callable[[], None]:
        """Call the listener at each event; return a function that stops it.

        Args:
            event: ``signed_in``, ``refreshed``, ``expiring`` (with the seconds left), ``expired``
                (with the code), ``signed_out`` (``here`` or ``elsewhere``), ``degraded``,
                ``recovered``.
            listener: a function, or where there is an event loop also a coroutine function.

        Raises:
            ValueError: if there is no such event.
        """
        return self._manager.emitter.on(event, listener)

    def return_path(self, default: str = "/") -> str:
        """Return the address to show after sign-in: where the person was, or the default.

        It only ever points inside the page's own origin.
        """
        return self._manager.return_path(default)

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return self._manager.diagnose()
