"""The API itself as the server that issues the tokens, at the paths of the options."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unexpired.dialect import Dialect
from unexpired.effects import Send
from unexpired.hints import exchange_hint
from unexpired.messages import Request, Response
from unexpired.options import Options
from unexpired.origins import origin_of
from unexpired.token_response import Tokens
from unexpired.token_server import PathOption, TokenServer


@dataclass(frozen=True, slots=True)
class PathServer:
    """The API's own routes for tokens.

    Args:
        options: The client's options.
    """

    options: Options

    @property
    def dialect(self) -> Dialect:
        """Its field names and error codes."""
        return self.options.dialect

    @property
    def home(self) -> str | None:
        """The origin of where it issues tokens."""
        return origin_of(self.options.resolve(self.options.refresh_path))

    def refresh_request(
        self, tokens: Tokens, attempt: str | None
    ) -> Generator[Send, Response, Request]:
        """Return the request that refreshes the tokens; see ``TokenServer``."""
        yield from ()
        url = self.options.resolve(self.options.refresh_path)
        return self.dialect.refresh_request(url, tokens.refresh_token, attempt)

    def sign_out_request(self, tokens: Tokens) -> Generator[Send, Response, Request | None]:
        """Return the request that revokes the tokens; see ``TokenServer``."""
        yield from ()
        if not self.options.logout_path:
            return None
        url = self.options.resolve(self.options.logout_path)
        return self.dialect.sign_out_request(url, tokens.refresh_token, tokens.access_token)

    def identified(self, tokens: Tokens, known: Tokens) -> Tokens:  # noqa: ARG002 - the port's
        """Return the tokens: what the API says of its own user is not in doubt."""
        return tokens

    def hint(self, option: PathOption, request: Request, response: Response) -> str:
        """Return what a response without tokens says; see ``exchange_hint``."""
        return exchange_hint(self.options, option, request.url, response)


if TYPE_CHECKING:
    _: type[TokenServer] = PathServer
