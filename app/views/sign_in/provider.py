"""Sign in at the provider that the server works with, and get a session of the server.

The server does what concerns the provider. The page makes a verifier, and redeems the code that the
browser comes back with. Only this tab can do that, also if the code is seen by others (as in RFC
7636).
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

from js import Object, history, location
from pyodide.ffi import to_js

from unexpired import AsyncClient, RateLimited, SignInFailed, Unreachable
from views.sign_in.verifiers import Verifiers

FEATURES = "/api/features"
START = "/api/login/provider"
TOKEN = f"{START}/token"

LONGEST_PAGE = 500
"""Characters of an address that the server comes back to."""

KEPT = ("next", "again")
"""The parameters of the sign-in view that it still needs afterwards."""

LEFT = "leftForProvider"
"""Marks the entry of the history from which the page was left."""

OUR_NAMES = {
    "ACCESS_DENIED": "access_denied",
    "PROVIDER_UNAVAILABLE": "temporarily_unavailable",
}
"""The library's codes for what the server calls otherwise."""

SENTENCES = {
    "NOT_ALLOWED": "Your account may not be used here.",
    "RATE_LIMITED": RateLimited.message,
    "UNAVAILABLE": Unreachable.message,
}


@dataclass(frozen=True, repr=False)
class Answer:
    """What the browser came back with; boot.js has moved it from the address into the history.

    Attributes:
        attempt: Names the sign-in.
        code: Is exchanged for a session; empty if the sign-in failed.
        failed: The server's code for why it failed.
    """

    attempt: str
    code: str
    failed: str


MEMBERS = tuple(field.name for field in fields(Answer))


class ProviderSignIn:
    """The way to the provider and back.

    Args:
        client: Gets the session.
        storage_key: The session's storage key.
        in_cookie: Whether the session's refresh token is in a cookie.
    """

    def __init__(self, client: AsyncClient, *, storage_key: str, in_cookie: bool) -> None:
        self._client = client
        self._in_cookie = in_cookie
        self._verifiers = Verifiers(storage_key)

    async def leave(self, query: Mapping[str, str]) -> None:
        """Leave the page for the provider.

        Args:
            query: The parameters of the sign-in view.

        Raises:
            SignInFailed: If the browser blocks storage.
            Unreachable: If the server does not respond: the browser would show an empty page.
        """
        await self._client.get(FEATURES, auth=False)
        attempt, verifier = secrets.token_urlsafe(9), secrets.token_urlsafe(32)
        self._verifiers.put(attempt, verifier)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = urlsafe_b64encode(digest).decode().rstrip("=")
        asked = urlencode({"challenge": challenge, "next": _page(attempt, query)})
        # If this entry of the history is shown again, the person is back without an answer.
        history.replaceState(to_js({LEFT: True}, dict_converter=Object.fromEntries), "")
        location.assign(f"{START}?{asked}")

    def is_back_without_answer(self) -> bool:
        """Return whether the page was left and is shown again, as by the button Back; only once."""
        if not getattr(history.state, LEFT, False):
            return False
        history.replaceState(None, "")
        return True

    def answer(self) -> Answer | None:
        """Return what the browser came back with."""
        js_answer = getattr(history.state, "providerAnswer", None)
        if js_answer is None:
            return None
        return Answer(**{name: str(getattr(js_answer, name, "")) for name in MEMBERS})

    def knows(self, answer: Answer) -> bool:
        """Return whether the sign-in was begun in this tab, and is not over."""
        return self._verifiers.get(answer.attempt) is not None

    async def redeem(self, answer: Answer) -> None:
        """Exchange the code for a session.

        Without a response the answer stays in the history, so that a reload tries again.

        Raises:
            BadReply: If the code is used, too old or another tab's.
            RateLimited: If the server asks to wait.
            Unreachable: If the server does not respond.
        """
        code = {"code": answer.code, "verifier": self._verifiers.get(answer.attempt)}
        body = {**code, "cookie": self._in_cookie}
        response = await self._client.post(TOKEN, json=body, auth="sign_in")
        self.forget(answer)
        response.raise_for_status()
        await self._client.adopt(response)

    def forget(self, answer: Answer) -> None:
        """Forget a sign-in that is over."""
        self._verifiers.forget(answer.attempt)
        history.replaceState(None, "")

    def sentence(self, answer: Answer) -> str:
        """Return why the sign-in failed; anybody can make a link that says anything."""
        code = answer.failed if answer.failed and self.knows(answer) else "UNKNOWN_SIGN_IN"
        return SENTENCES.get(code) or str(SignInFailed(OUR_NAMES.get(code, code)))


def _page(attempt: str, query: Mapping[str, str]) -> str:
    """Return the address of the sign-in view to come back to."""
    here = f"{location.pathname}{location.search}{location.hash.partition('?')[0]}?"
    kept = {name: query[name] for name in KEPT if name in query}
    page = here + urlencode({"attempt": attempt, **kept})
    return page if len(page) <= LONGEST_PAGE else here + urlencode({"attempt": attempt})
