"""What the clients offer alike: the verbs, and a look at the session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, Unpack

from .keeper import CallOptions, Keeper
from .listeners import EventName, Listener
from .session import State

Reply_co = TypeVar("Reply_co", covariant=True)


class Verbs(ABC, Generic[Reply_co]):
    """Calls to an API; ``Reply_co`` is a Response, or the promise of one."""

    @abstractmethod
    def request(self, method: str, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """Make one call; a non-2xx reply is data, not an error."""

    def get(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """GET; see ``request``."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """HEAD; see ``request``."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """OPTIONS; see ``request``."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """POST; see ``request``."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """PUT; see ``request``."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """PATCH; see ``request``."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[CallOptions]) -> Reply_co:
        """DELETE; see ``request``."""
        return self.request("DELETE", url, **options)


class Surface(Verbs[Reply_co]):
    """A client as its users see it.

    Args:
        keeper: holds the session; two clients of one page may share it.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    @property
    def state(self) -> State:
        """``anonymous``, ``active``, ``refreshing``, ``degraded`` or ``expired``."""
        return self.keeper.session.state

    @property
    def user(self) -> Mapping[str, Any] | None:
        """Who is signed in, or None."""
        return self.keeper.user

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires, or None."""
        return self.keeper.expires_in

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh, or None."""
        return self.keeper.refresh_in

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
        return self.keeper.listeners.on(event, listener)

    def return_path(self, default: str = "/") -> str:
        """Return the address to show after sign-in: where the person was, or the default.

        It only ever points inside the page's own origin.
        """
        return self.keeper.return_path(default)

    def diagnose(self) -> dict[str, Any]:
        """Return the facts that help to find a fault, without anything secret."""
        return self.keeper.diagnose()
