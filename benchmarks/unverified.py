"""Our server without verification of tokens, to measure its cost; for loopback only.

Every request counts as ada's, whatever token it bears.
"""

from __future__ import annotations

import os
from unittest.mock import patch

from starlette.requests import HTTPConnection

from unexpired_server.cli import main
from unexpired_server.http.bearer import BearerAuthenticator
from unexpired_server.tokens.access_tokens import Claims


class Trusting(BearerAuthenticator):
    """Accepts every request."""

    async def authenticate(self, request: HTTPConnection) -> Claims:
        """Return the claims of ada."""
        del request
        return Claims(os.environ["BENCHMARK_USER"], "1" * 32)


if __name__ == "__main__":
    with patch("unexpired_server.service.BearerAuthenticator", Trusting):
        main()
