"""Who issues a session's tokens: the API itself, or an identity provider."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal, Protocol, runtime_checkable

from unexpired.dialect import Dialect
from unexpired.effects import Send
from unexpired.messages import Request, Response
from unexpired.token_response import Tokens

PathOption = Literal["login_path", "refresh_path"]


class TokenServer(Protocol):
    """The server that a client gets its tokens from; it knows its names and its addresses."""

    @property
    def dialect(self) -> Dialect:
        """Its field names and error codes."""
        ...

    @property
    def home(self) -> str | None:
        """The origin of where it issues tokens; None if that is not known yet."""
        ...

    def refresh_request(
        self, tokens: Tokens, attempt: str | None
    ) -> Generator[Send, Response, Request]:
        """Return the request that refreshes the tokens.

        Args:
            tokens: The tokens of the session.
            attempt: The id of this refresh, for a server that takes one.

        Raises:
            Unreachable: If its addresses cannot be found now.
        """
        ...

    def sign_out_request(self, tokens: Tokens) -> Generator[Send, Response, Request | None]:
        """Return the request that revokes the tokens; None if the server cannot do that.

        Raises:
            Unreachable: If its addresses cannot be found now.
        """
        ...

    def identified(self, tokens: Tokens, known: Tokens) -> Tokens:
        """Return the tokens of a refresh, once what they say of the user is checked.

        Args:
            tokens: The tokens in the response.
            known: The tokens that they replace.

        Raises:
            SignInFailed: If they are not to be trusted.
        """
        ...

    def hint(self, option: PathOption, request: Request, response: Response) -> str:
        """Return what a response without tokens says about a mistake in the settings."""
        ...


@runtime_checkable
class IdentityProvider(Protocol):
    """Where people sign in, if that is not the API: the option ``provider``."""

    @property
    def name(self) -> str:
        """What its tokens belong to: the issuer and the application there."""
        ...

    @property
    def dpop(self) -> bool:
        """Whether a sign-in brings a proof of possession (RFC 9449)."""
        ...
