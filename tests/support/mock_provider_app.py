"""PyPI's oidc-provider-mock with people who are given, for clients that register themselves.

Usage: python -m tests.support.mock_provider_app '<options as JSON>'

It prints its issuer when it listens, and ends when its standard input does.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import timedelta

from authlib.oauth2.rfc6749 import AuthorizationCodeGrant, RefreshTokenGrant
from oidc_provider_mock import User, app
from werkzeug.serving import make_server

OPTIONS = json.loads(sys.argv[1])

# Authlib refuses clients without a secret unless its grants list them; the provider lists none.
for grant in (AuthorizationCodeGrant, RefreshTokenGrant):
    grant.TOKEN_ENDPOINT_AUTH_METHODS = ["none"]
logging.getLogger("werkzeug").setLevel(logging.ERROR)  # It logs each request, with its code.
server = make_server(
    "127.0.0.1",
    0,
    app(
        require_client_registration=True,
        access_token_max_age=timedelta(seconds=OPTIONS["access_ttl"]),
        user_claims=[User(sub=sub, claims=claims) for sub, claims in OPTIONS["people"].items()],
    ),
    threaded=True,
)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
sys.stdout.flush()
sys.stdin.read()
