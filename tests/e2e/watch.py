"""What a page did behind the scenes: what it asked for, and what it complained of."""

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
        """Method and path, such as "POST /api/refresh"."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """One reply as it reached the browser."""

    path: str
    status: int


class Watch:
    """Records the requests and the complaints of every page of a context.

    Args:
        context: Whose pages.
        home: The address of the server that they may talk to.
    """

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.context = context
        self._hosts = {urlsplit(home).netloc}
        self.sent: list[Sent] = []
        self.answers: list[Answer] = []
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._listeners: dict[Any, Callable[[Any], None]] = {
            "request": self._requested,
            "response": self._answered,
            "console": self._said,
            "weberror": self._failed,
        }

    def __enter__(self) -> Self:
        """Start to watch."""
        for event, listener in self._listeners.items():
            self.context.on(event, listener)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        for event, listener in self._listeners.items():
            self.context.remove_listener(event, listener)

    def admit(self, address: str) -> None:
        """Let the pages talk to this server too."""
        self._hosts.add(urlsplit(address).netloc)

    def count(self, call: str) -> int:
        """How often this was asked for, such as "POST /api/refresh"."""
        return sum(sent.call == call for sent in self.sent)

    def calls(self, call: str) -> list[Sent]:
        """The requests of this kind, in order."""
        return [sent for sent in self.sent if sent.call == call]

    def forgive(self, *parts: str) -> None:
        """Expect complaints with one of these texts: the test provokes them."""
        self.complaints = [
            line for line in self.complaints if not any(part in line for part in parts)
        ]

    def verify(self) -> None:
        """Fail if a page talked to another host, or complained."""
        if problems := [*self.strangers, *self.complaints]:
            pytest.fail("\n".join(problems))

    def _requested(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in OWN_SCHEMES and url.netloc not in self._hosts:
            self.strangers.append(request.url)
        origin = f"{url.scheme}://{url.netloc}"
        self.sent.append(
            Sent(request.method, origin, url.path, request.headers, request.post_data_buffer)
        )

    def _answered(self, response: Response) -> None:
        self.answers.append(Answer(urlsplit(response.url).path, response.status))

    def _said(self, message: ConsoleMessage) -> None:
        # The browser itself notes each 4xx and each lost connection: of the API they are answers.
        is_answer = "/api/" in message.location["url"] and "Failed to load" in message.text
        if message.type in {"error", "warning"} and not is_answer:
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")
