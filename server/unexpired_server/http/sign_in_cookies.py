"""What a browser keeps while a person is at the provider, in a cookie of its own for each sign-in.

Nothing is kept here: any node can finish a sign-in that another began, also after a restart. The
cookie holds one random seed, the page's challenge and where the page is, under a MAC. The state,
the nonce and the verifier are hashes of the seed, so the address bar has none of what the cookie
has. An answer counts only in the browser that has the cookie of its state (RFC 9700, section 4.7).

``SameSite=Lax``, because the provider sends the browser back from another site. ``__Host-`` keeps
subdomains from setting it (RFC 6265bis, section 4.1.3.2), but needs https.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from unexpired_server.http.session_cookie import cookies_of
from unexpired_server.tokens import base64url
from unexpired_server.tokens.keys import KeyRing
from unexpired_server.tokens.opaque_tokens import OpaqueTokens
from unexpired_server.tokens.provider import SignInSecrets

PREFIX = "unexpired-login-"
ID_LENGTH = 16
"""Characters of the state in a cookie's name, so that several sign-ins do not mix."""

LIFETIME = 600
"""How long a person may be at the provider, in seconds."""

KEPT = 3600
"""How long the cookie is kept, in seconds: who comes too late still gets back to the page."""

MOST = 5
"""How many sign-ins a browser may have at once: more cookies would make its requests too large."""

LONGEST_PAGE = 500
"""In bytes."""

SEED_BYTES = 32
CHALLENGE_BYTES = 32
TIME_BYTES = 8
FIXED_BYTES = SEED_BYTES + CHALLENGE_BYTES + TIME_BYTES


@dataclass(frozen=True, kw_only=True, repr=False)
class PendingSignIn:
    """A sign-in whose person is at the provider.

    Attributes:
        seed: Random; what the provider must answer with is made of it.
        challenge: The page's, in its raw form.
        began_at: In Unix seconds.
        page: Where the page is: path, query and hash.
    """

    seed: bytes
    challenge: bytes
    began_at: int
    page: str

    @property
    def secrets(self) -> SignInSecrets:
        """What the provider must answer with."""
        return SignInSecrets(
            state=self._derived(b"state"),
            nonce=self._derived(b"nonce"),
            verifier=self._derived(b"verifier"),
        )

    def _derived(self, purpose: bytes) -> str:
        return base64url.encode(hmac.digest(self.seed, purpose, "sha256"))


class SignInCookies:
    """Sets, reads and clears the cookies.

    Args:
        ring: The keys that all nodes share.
        now: The clock of all nodes, in Unix seconds.
        is_secure: Whether browsers use https; else the server is on this machine.
    """

    def __init__(self, ring: KeyRing, now: Callable[[], float], *, is_secure: bool) -> None:
        self._tokens = OpaqueTokens(
            ring,
            prefix="ps1.",
            purpose="provider sign-in v1",
            length=FIXED_BYTES,
            further=LONGEST_PAGE,
        )
        self._now = now
        self._prefix = f"__Host-{PREFIX}" if is_secure else PREFIX
        self._attributes = f"Path=/; {'Secure; ' if is_secure else ''}HttpOnly; SameSite=Lax"

    def begin(self, challenge: bytes, page: str) -> PendingSignIn:
        """Return a new sign-in.

        Args:
            challenge: The page's, in its raw form.
            page: Where the page is, of at most ``LONGEST_PAGE`` bytes.
        """
        seed, began_at = secrets.token_bytes(SEED_BYTES), int(self._now())
        return PendingSignIn(seed=seed, challenge=challenge, began_at=began_at, page=page)

    def put(self, pending: PendingSignIn, request: Request, response: Response) -> None:
        """Set a sign-in's cookie; clear those of others where there are too many."""
        others = [name for name, _ in self._found(request)]
        for name in others if len(others) >= MOST else ():
            self._clear(name, response)
        at = pending.began_at.to_bytes(TIME_BYTES, "big")
        value = self._tokens.write(pending.seed + pending.challenge + at + pending.page.encode())
        lifetime = f"Max-Age={KEPT}"
        name = self._name(pending.secrets.state)
        response.headers.append("Set-Cookie", f"{name}={value}; {self._attributes}; {lifetime}")

    def of(self, state: str, request: Request) -> PendingSignIn | None:
        """Return the sign-in of a state that this browser has begun, also one that is too old."""
        for name, value in self._found(request):
            pending = self._read(value) if name == self._name(state) else None
            if pending and hmac.compare_digest(pending.secrets.state.encode(), state.encode()):
                return pending
        return None

    def is_too_old(self, pending: PendingSignIn) -> bool:
        """Return whether a sign-in has taken too long."""
        return not 0 <= self._now() - pending.began_at < LIFETIME

    def clear(self, pending: PendingSignIn, response: Response) -> None:
        """Clear the cookie of a sign-in."""
        self._clear(self._name(pending.secrets.state), response)

    def _clear(self, name: str, response: Response) -> None:
        response.headers.append("Set-Cookie", f"{name}=; {self._attributes}; Max-Age=0")

    def _name(self, state: str) -> str:
        return self._prefix + state[:ID_LENGTH]

    def _found(self, request: Request) -> Iterator[tuple[str, str]]:
        return (pair for pair in cookies_of(request) if pair[0].startswith(self._prefix))

    def _read(self, value: str) -> PendingSignIn | None:
        content = self._tokens.read(value)
        if content is None:
            return None
        seed, rest = content[:SEED_BYTES], content[SEED_BYTES:]
        challenge, rest = rest[:CHALLENGE_BYTES], rest[CHALLENGE_BYTES:]
        began_at, page = int.from_bytes(rest[:TIME_BYTES], "big"), rest[TIME_BYTES:].decode()
        return PendingSignIn(seed=seed, challenge=challenge, began_at=began_at, page=page)
