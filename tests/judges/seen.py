"""Requests of our client, as others see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.judges.asking import Judges


@dataclass(frozen=True)
class Seen:
    """Requests that were seen, each with its method, its URL, and its headers in lower case."""

    requests: Sequence[tuple[str, str, Mapping[str, str]]]

    @property
    def paths(self) -> list[str]:
        """The paths of those that have a proof."""
        return [urlsplit(url).path for _, url, headers in self.requests if "dpop" in headers]

    def judge(self, judges: Judges, jwks: Mapping[str, Any]) -> None:
        """Have each proof verified by jose, and each call by oauth4webapi.

        Args:
            judges: Those who judge.
            jwks: The public keys of the server that has issued the tokens.

        Raises:
            Refused: One is not accepted.
        """
        keys = set()
        for method, url, headers in self.requests:
            if "dpop" not in headers:
                continue
            found = judges.ask("joseAccepts", proof=headers["dpop"])
            keys.add(found["thumbprint"])
            if "authorization" in headers:
                shown = [(name, headers[name]) for name in ("authorization", "dpop")]
                call = {"method": method, "url": url, "headers": shown}
                known = {"jwks": jwks, "issuer": "unexpired", "audience": "unexpired"}
                token = judges.ask("oauthAccepts", **call, **known)["claims"]
                assert token["cnf"] == {"jkt": found["thumbprint"]}
            claims = found["claims"]
            assert (claims["htm"], claims["htu"]) == (method, url.partition("?")[0])
        assert len(keys) == 1, "one session has one key"
