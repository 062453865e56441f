"""The user of a session, and what an application gives to use its own table of users."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from unexpired_server.scopes import checked_scopes
from unexpired_server.tokens.read_only import ReadOnlyDict

ID_LENGTH = 255
"""In characters."""

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class User:
    """A user who may sign in; an application may have a subclass with more.

    Attributes:
        id: The ``sub`` of the user's access tokens: any printable text of at most 255 characters,
            never given to another user.
        username: The name to show.
        scopes: What the user may do (RFC 6749, section 3.3).
        claims: All claims of the access token, where the user comes from one.

    Raises:
        TypeError: ``id`` or ``username`` is not text, or a scope is not.
        ValueError: ``id`` is empty, too long or not printable, ``username`` has half a character,
            or a scope is none.
    """

    id: str
    username: str = ""
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=ReadOnlyDict, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the id, the name and the scopes."""
        if not isinstance(self.id, str):
            raise TypeError(f"User.id is text, not {type(self.id).__name__}: write str(id)")
        if not 0 < len(self.id) <= ID_LENGTH or not self.id.isprintable():
            raise ValueError(f"User.id has 1 to {ID_LENGTH} printable characters")
        if not isinstance(self.username, str):
            raise TypeError(f"User.username is text, not {type(self.username).__name__}")
        if not self.username.isascii() and _SURROGATES.search(self.username):
            raise ValueError("User.username has half a character, which nobody can send")
        object.__setattr__(self, "scopes", checked_scopes(self.scopes))


class UserStore(Protocol):
    """An application's own users: given to ``Service`` or ``Auth`` as ``users``.

    Rate limits, audit events and sessions work as with the built-in table. An exception in a
    method is logged without its message and answered with 503 ``UNAVAILABLE``; nothing changes.
    So is a method that takes too long: ``find`` more than 10 seconds, ``authenticate`` 60.
    """

    async def authenticate(
        self, username: str, password: str, /, *args: Any, **fields: Any
    ) -> User | None:
        """Return the user, or None when the username or the password is wrong.

        Both cases must take equally long, or usernames can be found out:
        ``Passwords.verify(password, None)`` takes as long as a real one.

        Args:
            username: As typed, of at most 255 characters.
            password: As typed, of at most 1024 characters.
            *args: Nothing; a method with any further parameters, or none, fits this protocol.
            **fields: The further members of the request's body that the method has parameters for,
                such as ``otp``; all of them where it has ``**fields``.

        Raises:
            SecondStepRequired: The password is right, and more is needed.
        """
        ...

    async def find(self, user_id: str, /) -> User | None:
        """Return the user as of now; None ends the session: the user is gone or disabled.

        It is called at each refresh, and by ``/api/me``.
        """
        ...


ClaimsHook = Callable[[User], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
"""Returns further claims for a user's access token, at sign-in and at each refresh.

An exception, or more than 10 seconds, is answered with 503 ``UNAVAILABLE``; nothing changes.
"""
