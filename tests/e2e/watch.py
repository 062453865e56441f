"""Records the requests and the errors of the pages in a test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

OWN_SCHEMES = {"data", "blob"}


@dataclass(frozen=True)
class Sent:
    """One request as it left the browser."""

    method: str
    origin: str
    path: str
    headers: dict[str, str]
    body: bytes | None

    @property
    def call(self) -> str:
        """The method and the path, such as "POST /api/refresh"."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """One response as it reached the browser."""

    path: str
    status: int


class Watch:
    """Records the requests and the complaints (console messages, errors) of a context's pages.

    Args:
        context: The browser context.
        home: The address of the server that the pages may send requests to.
    """

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.context = context
        self._hosts = {urlsplit(home).netloc}
        self.sent: list[Sent] = []
        self.answers: list[Answer] = []
        self.complaints: list[str] = []
        self.foreign_requests: list[str] = []
        self._cut_off: set[str] = set()
        self._listeners: dict[Any, Callable[[Any], None]] = {
            "request": self._on_request,
            "requestfailed": self._on_failure,
            "response": self._on_response,
            "console": self._on_console,
            "weberror": self._on_error,
        }

    def __enter__(self) -> Self:
        """Start to record."""
        for event, listener in self._listeners.items():
            self.context.on(event, listener)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        for event, listener in self._listeners.items():
            self.context.remove_listener(event, listener)

    def admit(self, address: str) -> None:
        """Allow requests to another server."""
        self._hosts.add(urlsplit(address).netloc)

    def count(self, call: str) -> int:
        """Return the number of such requests; a call is a method and a path."""
        return sum(sent.call == call for sent in self.sent)

    def calls(self, call: str) -> list[Sent]:
        """Return such requests, in order."""
        return [sent for sent in self.sent if sent.call == call]

    def forgive(self, *parts: str) -> None:
        """Drop complaints that contain one of these texts, because the test causes them."""
        self.complaints = [
            line for line in self.complaints if not any(part in line for part in parts)
        ]

    def verify(self) -> None:
        """Fail if a page sent a request to another host, or complained."""
        # Firefox calls it an error of a page that it is left or reloaded while it loads a module.
        self.forgive(*(f"error loading dynamically imported module: {u}" for u in self._cut_off))
        if problems := [*self.foreign_requests, *self.complaints]:
            pytest.fail("\n".join(problems))

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in OWN_SCHEMES and url.netloc not in self._hosts:
            self.foreign_requests.append(request.url)
        origin = f"{url.scheme}://{url.netloc}"
        self.sent.append(
            Sent(request.method, origin, url.path, request.headers, request.post_data_buffer)
        )

    def _on_failure(self, request: Request) -> None:
        if request.failure == "NS_BINDING_ABORTED":
            self._cut_off.add(request.url)

    def _on_response(self, response: Response) -> None:
        self.answers.append(Answer(urlsplit(response.url).path, response.status))

    def _on_console(self, message: ConsoleMessage) -> None:
        # The browser logs each 4xx and each lost connection; for the API, tests expect them.
        is_from_api = "/api/" in message.location["url"] and "Failed to load" in message.text
        if message.type in {"error", "warning"} and not is_from_api:
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")
