"""WebSockets that are signed in by their first message, and renewed while they are open.

A browser cannot set headers on a WebSocket, and a token in its address would be logged on the way.
So the client sends ``{"token": "…"}`` first, and again whenever it has a newer one. A token that is
bound to a key comes with a proof, ``{"token": "…", "proof": "…"}``: of the method GET and of the
WebSocket's address with http in place of ws (RFC 9449, section 4.2).

A page of another site can open a WebSocket, but has no token to send: nothing is sent by itself,
as a cookie would be. So the ``Origin`` is checked only where the application names origins.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Scope
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from unexpired_server.errors import (
    Failure,
    Forbidden,
    ServerFault,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
    UseDPoPNonce,
)
from unexpired_server.http.authenticators import Authenticator, user_of
from unexpired_server.http.exception_handlers import (
    close_code,
    ensure_handler,
    error_message,
    is_open,
    note_accepted,
    refuse_socket,
)
from unexpired_server.ops.background import log_fault
from unexpired_server.scopes import checked_scopes
from unexpired_server.sessions.user import User
from unexpired_server.tokens import strict_json
from unexpired_server.tokens.access_tokens import Claims

FIRST_SECONDS = 10.0
"""How long a client may take to send its token."""

CHECK_SECONDS = 2.0
"""How often an open WebSocket's token is verified again; it needs no query."""

MAXIMUM_LENGTH = 16 * 1024
"""Of a message with a token, in characters."""

WAITING_MESSAGES = 32
"""How many messages wait for the application before the client has to."""

CLOSE_SECONDS = 5.0
"""How long a client may take to read why it is refused."""

EXPIRY = "exp"
OUTAGE_SECONDS = 300.0
"""How long after its token's ``exp`` a WebSocket stays open while nothing can be verified."""

_GUARD = "unexpired.guard"
"""In the scope of a WebSocket that a dependency has signed in: what follows its token."""


class AuthSocket(WebSocket):
    """A WebSocket of a signed-in user: all that Starlette's has, and ``user``.

    ``receive_json``, ``iter_json``, ``send_json`` and the others are Starlette's. Messages with
    tokens are not among those that are received. Once the user may no longer use it, both
    receiving and sending raise ``WebSocketDisconnect`` with the close code.

    Args:
        guard: Lets the user in, and receives the messages.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__(guard.websocket.scope, guard.inbox.get, guard.websocket.send)
        self.client_state = self.application_state = WebSocketState.CONNECTED
        self._guard = guard

    @property
    def user(self) -> User:
        """The user, with the scopes and claims of the newest token."""
        return self._guard.user

    async def send(self, message: Message) -> None:
        """Send an ASGI message.

        Raises:
            WebSocketDisconnect: The user may no longer use the WebSocket.
        """
        if failure := self._guard.failure:
            raise WebSocketDisconnect(close_code(failure), failure.code)
        await super().send(message)


class Guard:
    """Follows the token of one WebSocket.

    Args:
        websocket: The application's own, accepted.
        authenticator: Verifies access tokens.
        scopes: The scopes that are needed.

    Attributes:
        websocket: The same.
        inbox: The messages for the application.
        failure: Why the user may no longer use the WebSocket.
        user: Who uses it, once signed in.
    """

    user: User

    def __init__(
        self, websocket: WebSocket, authenticator: Authenticator, scopes: frozenset[str]
    ) -> None:
        self.websocket: WebSocket = websocket
        self.inbox: asyncio.Queue[Message] = asyncio.Queue(WAITING_MESSAGES)
        self.failure: Failure | None = None
        self._authenticator = authenticator
        self._scopes = scopes
        self._closing: asyncio.Task[None] | None = None
        self._token = ""
        self._expires_at = 0.0

    async def sign_in(self, sent: SentToken) -> None:
        """Let the user in, and say how long the token is good for.

        Raises:
            Failure: The token or its proof is refused, or it has not all scopes.
        """
        await self._use(sent.token, await self._verified(sent))

    async def serve(self) -> None:
        """Pass messages on and follow the token, until the client has gone or is refused."""
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(self._whole(one)) for one in (self._pump(), self._watch())]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()

    def user_for(self, authenticator: Authenticator) -> User:
        """Return the user again.

        Raises:
            TokenMissing: Another authenticator has let them in, whose users are others.
            Failure: They may no longer use the WebSocket.
        """
        if authenticator is not self._authenticator:
            raise TokenMissing
        if self.failure:
            raise self.failure
        return self.user

    def require(self, scopes: frozenset[str]) -> None:
        """Need further scopes, also of each next token."""
        self._scopes |= scopes

    async def refuse(self, failure: Failure) -> None:
        """Send the failure and close; the application receives only that it is closed."""
        if self.failure:
            return
        self.failure = failure
        # A task of its own, because the application may leave the context meanwhile.
        self._closing = asyncio.create_task(self._close(failure))
        await self.closed()

    async def closed(self) -> None:
        """Wait until a refusal is sent, if there is one."""
        if self._closing:
            await asyncio.wait([self._closing])

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Do work; if it fails, end the WebSocket, which would not be followed any more."""
        try:
            await work
        except Exception as exc:  # noqa: BLE001 - the application must not wait for messages forever
            log_fault(exc)
            await self.refuse(ServerFault())

    async def _pump(self) -> None:
        """Pass the client's messages on to the application, but for those with a token."""
        while not self.failure:
            message = await self.websocket.receive()
            sent = token_in(message)
            if sent is not None:
                await self._renew(sent)
            elif not self.failure:
                await self.inbox.put(message)
            if message["type"] == "websocket.disconnect":
                return

    async def _watch(self) -> None:
        """End the WebSocket soon after its token expires or its session ends."""
        while not self.failure:
            await asyncio.sleep(CHECK_SECONDS)
            token = self._token
            try:
                user = self._permitted(await self._authenticator.verify_again(token))
            except Unavailable:
                if self._authenticator.now() > self._expires_at + OUTAGE_SECONDS:
                    await self.refuse(TokenExpired(self._expires_at))
            except Failure as failure:
                if token == self._token:  # Else it was renewed meanwhile.
                    await self.refuse(failure)
            else:
                if token == self._token:
                    self._note_verified(user)

    async def _renew(self, sent: SentToken) -> None:
        try:
            user = await self._verified(sent)
            if user.id != self.user.id:
                raise TokenInvalid("The access token is another user's.")
        except (Unavailable, UseDPoPNonce) as failure:
            # The token before is still good; the client may try again.
            await self.tell(error_message(failure))
        except Failure as failure:
            await self.refuse(failure)
        else:
            await self._use(sent.token, user)

    async def _use(self, token: str, user: User) -> None:
        self._token, self.user = token, user
        self._note_verified(user)
        ready: dict[str, Any] = {"type": "ready"}
        if EXPIRY in user.claims:  # What an introspection endpoint describes may have none.
            ready["expiresIn"] = max(0, int(self._expires_at - self._authenticator.now()))
        await self.tell(ready)

    def _note_verified(self, user: User) -> None:
        """Count the time of an outage from the token's end, or else from when it was last good."""
        self._expires_at = float(user.claims.get(EXPIRY, self._authenticator.now()))

    async def _verified(self, sent: SentToken) -> User:
        verify = self._authenticator.verify
        return self._permitted(await verify(self.websocket, sent.token, sent.proof))

    def _permitted(self, claims: Claims) -> User:
        user = user_of(claims)
        if not self._scopes <= user.scopes:
            raise Forbidden(scopes=self._scopes)
        return user

    async def tell(self, message: dict[str, Any]) -> None:
        """Send the client a message, if it is still there."""
        with suppress(WebSocketDisconnect):  # Receiving says so, too, after what came before.
            await self.websocket.send_json(message)

    async def _close(self, failure: Failure) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await refuse_socket(self.websocket, failure)
        finally:
            with suppress(asyncio.QueueEmpty):
                while True:
                    self.inbox.get_nowait()
            code, reason = close_code(failure), failure.code
            message = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self.inbox.put_nowait(message)


@asynccontextmanager
async def signed_in_socket(
    websocket: WebSocket,
    authenticator: Authenticator,
    scopes: Collection[str] = (),
    origins: Collection[str] | None = None,
) -> AsyncIterator[AuthSocket]:
    """Accept a WebSocket, and let its user in.

    Args:
        websocket: The application's.
        authenticator: Verifies access tokens.
        scopes: All of them are needed, of the first token and of each next one.
        origins: The only origins whose pages may connect; all when None.

    Raises:
        Failure: It was refused, and is closed; the handler of ``install`` does nothing more.
        ValueError: A scope is none, or ``origins`` is one text.
        RuntimeError: ``signed_in_user`` was called with it before.
    """
    needed = checked_scopes(scopes)
    if _GUARD in websocket.scope:
        raise RuntimeError("A dependency has signed in already: use auth.user or auth.socket")
    ensure_handler(websocket.scope, strict=authenticator.strict)
    _check_origin(websocket, origins)
    if websocket.application_state is WebSocketState.CONNECTING:
        await websocket.accept()
    guard = Guard(websocket, authenticator, needed)
    await _let_in(guard)
    serving = asyncio.create_task(guard.serve())
    try:
        yield AuthSocket(guard)
    except (WebSocketDisconnect, ExceptionGroup) as exc:
        # The client has gone, or may no longer be here. Else it is another WebSocket's.
        is_over = guard.failure or not is_open(websocket)
        if not is_over or not _is_disconnect(exc):
            raise
    finally:
        await guard.closed()
        serving.cancel()
        # Not gather(): where this task is cancelled, too, it would raise the other's cancellation.
        await asyncio.wait([serving])
    if is_open(websocket) and not guard.failure:
        await websocket.close()


def _is_disconnect(exc: Exception) -> bool:
    """Return whether an exception says only that, also as a task group raises it."""
    if isinstance(exc, ExceptionGroup):
        return exc.split(WebSocketDisconnect)[1] is None
    return isinstance(exc, WebSocketDisconnect)


async def signed_in_user(websocket: WebSocket, authenticator: Authenticator) -> User:
    """Let in the user of a WebSocket by its first message; the application goes on as with any.

    It accepts, receives and sends as if nothing had happened, and never receives a token. It may
    ask again, as several dependencies of one route do.

    Args:
        websocket: The application's, not accepted yet.
        authenticator: Verifies access tokens.

    Raises:
        Failure: The user was refused, and the WebSocket is closed.
    """
    guard = websocket.scope.get(_GUARD)
    if isinstance(guard, Guard):
        return guard.user_for(authenticator)
    # The caller has this object already, so its ends are exchanged in place.
    accepted = WebSocket(websocket.scope, websocket._receive, websocket._send)  # noqa: SLF001
    await accepted.accept()
    note_accepted(accepted)
    guard = Guard(accepted, authenticator, frozenset())
    await _let_in(guard)
    websocket.scope[_GUARD] = guard
    ends = _AcceptedEnds(AuthSocket(guard))
    websocket._receive, websocket._send = ends.receive, ends.send  # noqa: SLF001
    serving = asyncio.create_task(guard.serve())
    SERVING.add(serving)
    serving.add_done_callback(SERVING.discard)
    return guard.user


def require_scopes(scope: Scope, scopes: frozenset[str]) -> None:
    """Need some scopes also of each next token, where this is a WebSocket that is followed."""
    guard = scope.get(_GUARD)
    if isinstance(guard, Guard):
        guard.require(scopes)


SERVING: set[asyncio.Task[None]] = set()
"""A task that nothing refers to may disappear before its end."""


class _AcceptedEnds:
    """An accepted WebSocket's ends, for an application that is still to accept it.

    Args:
        socket: Of the signed-in user.
    """

    def __init__(self, socket: AuthSocket) -> None:
        self._socket = socket
        self._is_connecting = True

    async def receive(self) -> Message:
        """Return the connection first, and then each message."""
        if self._is_connecting:
            self._is_connecting = False
            return {"type": "websocket.connect"}
        return await self._socket.receive()

    async def send(self, message: Message) -> None:
        """Send each message but the acceptance, which was sent before the token came."""
        if message["type"] != "websocket.accept":
            await self._socket.send(message)


@dataclass(frozen=True, slots=True)
class SentToken:
    """A token that came in a message, and the proof of its key, if there was one."""

    token: str = field(repr=False)
    proof: str | None = field(default=None, repr=False)


def token_in(message: Message) -> SentToken | None:
    """Return the token in a message that has nothing but it, or it and a proof; else None."""
    text = message.get("text") or ""
    if '"token"' not in text or len(text) > MAXIMUM_LENGTH:
        return None
    try:
        members = strict_json.read_object(text.encode())
    except ValueError:
        return None
    token, proof = members.pop("token", None), members.pop("proof", None)
    is_token = isinstance(token, str) and isinstance(proof, str | None) and not members
    return SentToken(token, proof) if is_token else None


async def _let_in(guard: Guard) -> None:
    """Let the user in by the first message, or refuse the WebSocket."""
    try:
        await _sign_in(guard)
    except Failure as failure:
        await guard.refuse(failure)
        raise


async def _sign_in(guard: Guard) -> None:
    sent = await _first_token(guard.websocket)
    try:
        await guard.sign_in(sent)
    except UseDPoPNonce as failure:
        # Only the server knows the nonce; the client signs again with it.
        await guard.tell(error_message(failure))
        await guard.sign_in(await _first_token(guard.websocket))


async def _first_token(websocket: WebSocket) -> SentToken:
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            message = await websocket.receive()
    except TimeoutError:
        raise TokenMissing from None
    sent = token_in(message)
    if sent is None:
        raise TokenMissing('The first message must be {"token": "…"}, with an access token.')
    return sent


def _check_origin(websocket: WebSocket, origins: Collection[str] | None) -> None:
    if isinstance(origins, str):  # Of which every part would be let in.
        raise ValueError(f"origins are a list of texts, not one text: write [{origins!r}]")  # noqa: TRY004 - as for scopes
    origin = websocket.headers.get("origin")
    if origins is not None and origin is not None and origin not in origins:
        raise Forbidden("Pages of this origin may not connect.")
