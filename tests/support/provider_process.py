"""An identity provider in a process of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Self

from tests.support import plain_http
from tests.support.paths import ROOT

STOP_SECONDS = 30.0


class ProviderProcess:
    """A provider on a free port, for a ``with`` block.

    Its program prints its address once it listens, and ends when its input does.

    Args:
        command: Starts the program; it gets the options as JSON behind that.
        options: What the program must know.

    Attributes:
        issuer: Its address.
        metadata: What it says of itself (OpenID Connect Discovery).
    """

    issuer: str
    metadata: Mapping[str, Any]

    def __init__(self, command: Sequence[str], options: Mapping[str, Any]) -> None:
        self._command = [*command, json.dumps(options)]

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        self.issuer = self._start()
        assert self.issuer, f"{type(self).__name__} did not start"
        response = plain_http.get(f"{self.issuer}/.well-known/openid-configuration")
        self.metadata = response.raise_for_status().json()
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._child.communicate(timeout=STOP_SECONDS)

    def _start(self) -> str:
        """Start the program; return what it prints first, which is nothing if it ended."""
        self._child = subprocess.Popen(  # noqa: S603 - our own program
            self._command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()
