"""What AsyncClient and Client have in common: the request methods and the view of the session."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, cast

from unexpired.content import RequestOptions
from unexpired.events import EventName, Listener
from unexpired.options import Options
from unexpired.ports import Clock
from unexpired.session import State
from unexpired.session_manager import SessionManager
from unexpired.token_server import TokenServer

if TYPE_CHECKING:
    from unexpired.oidc import Provider

NO_PROVIDER = "this is for a client with a provider: AsyncClient.in_browser(provider=…)"

Response_co = TypeVar("Response_co", covariant=True)


def check_credentials(options: Options, username: str | None, password: str | None) -> None:
    """Raise if a sign-in is not one of this client's kind.

    Raises:
        TypeError: If a provider is given a password, or another server none.
    """
    if options.provider is None and (username is None or password is None):
        raise TypeError("sign_in takes a username and a password, or the client a provider")
    if options.provider is not None and (username is not None or password is not None):
        raise TypeError("sign_in: people sign in at the provider, which asks for the password")


def token_server_of(options: Options, clock: Clock) -> TokenServer | None:
    """Return the provider as the server that issues the tokens; None: the API does.

    Args:
        options: The client's options.
        clock: The device's clock.
    """
    if options.provider is None:
        return None
    from unexpired.oidc.provider_server import ProviderServer  # noqa: PLC0415 - few need it

    return ProviderServer(cast("Provider", options.provider), clock)


class RequestMethods(ABC, Generic[Response_co]):
    """The HTTP methods; ``Response_co`` is a Response, or an awaitable one."""

    @abstractmethod
    def request(self, method: str, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """Make one request; a non-2xx response is data, not an error."""

    def get(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """GET; see ``request``."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """HEAD; see ``request``."""
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """OPTIONS; see ``request``."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """POST; see ``request``."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """PUT; see ``request``."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """PATCH; see ``request``."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Unpack[RequestOptions]) -> Response_co:
        """DELETE; see ``request``."""
        return self.request("DELETE", url, **options)


class BaseClient(RequestMethods[Response_co]):
    """The properties and methods that both clients share.

    Args:
        manager: Holds the session; two clients of one page may share it.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    @property
    def state(self) -> State:
        """``anonymous``, ``active``, ``refreshing``, ``degraded`` or ``expired``."""
        return self._manager.session.state

    @property
    def user(self) -> Mapping[str, Any] | None:
        """The user who is signed in, or None.

        ``user["scopes"]`` follows the access token: a change takes effect at the next refresh. Use
        it to show what the person may do; only the server decides.
        """
        return self._manager.user

    @property
    def expires_in(self) -> float | None:
        """Seconds until the access token expires, or None."""
        return self._manager.expires_in

    @property
    def lifetime(self) -> float | None:
        """How long the access token lives in total, in seconds; None if unknown."""
        return self._manager.lifetime

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server still asks to wait (``Retry-After``); None if it does not."""
        return self._manager.retry_after

    @property
    def refresh_in(self) -> float | None:
        """Seconds until the next refresh, or None."""
        return self._manager.refresh_in

    def on(self, event: EventName, listener: Listener) -> Callable[[], None]:
        """Call the listener at each event; return a function that unsubscribes it.

        Args:
            event: ``signed_in``, ``refreshed``, ``expiring`` (with the seconds left), ``expired``
                (with the code), ``signed_out`` (``here`` or ``elsewhere``), ``degraded`` or
                ``recovered``.
            listener: A function or a coroutine function.

        Raises:
            ValueError: If there is no such event.
        """
        return self._manager.emitter.on(event, listener)

    def return_path(self, default: str = "/") -> str:
        """Return the address to show after sign-in: where the person was, or the default.

        It is always inside the page's own origin.
        """
        return self._manager.return_path(default)

    def diagnose(self) -> dict[str, Any]:
        """Return facts that help to find a fault, without secrets.

        ``last_failures`` has the last ten requests that failed, the newest last: ``method``,
        ``url`` without query, fragment and userinfo, ``status`` and ``code`` or None, ``reason``,
        a sentence for developers, and ``at`` in UTC by this device's clock. The path of a URL is
        shown as it is: what the application puts there is its own.
        """
        return self._manager.diagnose()

    @staticmethod
    def _manager_of(client: BaseClient[Any]) -> SessionManager:
        """Return the manager of another client, whose session this one will share."""
        return client._manager
