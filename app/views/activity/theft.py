"""A thief: somebody with a copy of everything that this page keeps in the browser's storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from js import window

from unexpired import AsyncClient, Response, Transport
from unexpired.outside_text import loads
from views.ui.i18n import tr, tr_plural
from views.ui.storage import STORAGE_ERRORS

ME = "/api/me"
REFRESH = "/api/refresh"
SESSIONS = "/api/sessions"


class Theft:
    """Copies this page's tokens, and tries them as another browser would.

    The thief has a client without this session, so that nothing happens to the session's own.

    Args:
        client: The client of the session.
        transport: Sends the thief's requests.
        storage_key: The name under which the session is stored.
        base_url: The API; empty for the page's own origin.
    """

    def __init__(
        self, client: AsyncClient, transport: Transport, *, storage_key: str, base_url: str
    ) -> None:
        self._client = client
        self._transport = transport
        self._storage_key = storage_key
        self._base_url = base_url

    async def run(self) -> str:
        """Try the copied tokens; return what came of it."""
        stolen = self._copy()
        if not stolen.get("refreshToken"):
            return tr("There is no refresh token in the storage that a script could copy.")
        if not (await self._own_session()).get("bound"):
            return tr(
                "This session is not bound to this browser: with a copy of its tokens, a thief"
                " could stay signed in as you. Nothing was tried."
            )
        async with self._thief() as thief:
            return await self._tried(thief, stolen["refreshToken"], stolen["accessToken"])

    async def _tried(self, thief: AsyncClient, refresh_token: str, access_token: str) -> str:
        body = {"refreshToken": refresh_token}
        without_key = await thief.post(REFRESH, json=body, auth=False)
        # As at a sign-in, the client makes a new key and proves that one.
        with_own_key = await thief.post(REFRESH, json=body, auth="sign_in")
        headers = {"Authorization": f"Bearer {access_token}"}
        call = await thief.get(ME, headers=headers, auth=False)
        sentences = [
            tr("New tokens without this browser's key: {}.", _outcome(without_key)),
            tr("With a key of the thief's own: {}.", _outcome(with_own_key)),
            self._access(call),
        ]
        if await self._own_session():
            sentences.append(tr("You are still signed in."))
        return "\n".join(sentences)

    def _access(self, response: Response) -> str:
        if not response.is_success:
            return tr("The access token by itself: {}.", _outcome(response))
        left = round(self._client.expires_in or 0)
        return tr_plural(
            left,
            "The access token still works, for 1 second.",
            "The access token still works, for {} seconds.",
        )

    async def _own_session(self) -> Mapping[str, Any]:
        """Return what the server lists of this session; nothing if that is over."""
        response = (await self._client.get(SESSIONS)).raise_for_status()
        return next((one for one in response.json()["sessions"] if one["current"]), {})

    def _copy(self) -> dict[str, Any]:
        try:
            text = window.localStorage.getItem(self._storage_key)
        except STORAGE_ERRORS:
            text = None
        stolen: dict[str, Any] = loads(text) if text else {}
        return stolen

    def _thief(self) -> AsyncClient:
        return AsyncClient.in_browser(
            transport=self._transport,
            storage="memory",
            base_url=self._base_url,
            on_expired="event",
        )


def _outcome(response: Response) -> str:
    if response.is_success:
        return tr("accepted")
    return tr("refused ({})", response.code or response.status_code)
