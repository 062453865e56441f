"""An application of somebody else's in a process of its own, served by uvicorn."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support import plain_http
from tests.support.one_user import PASSWORD, USER, add_user
from tests.support.paths import ROOT
from tests.support.server_process import clean_environment

TIMEOUT = 60.0


class ServedApp:
    """A running application: ``app`` in ``main.py``, with a user of ours.

    Args:
        folder: An empty folder for its files, its data and its log.
        text: The text of ``main.py``.
        variables: Further variables of its environment; then it has no users of ours.
        **settings: Settings of ours by name, such as ``access_ttl=3``.
    """

    def __init__(
        self,
        folder: Path,
        text: str,
        variables: Mapping[str, str] | None = None,
        **settings: float | str,
    ) -> None:
        self._has_users = variables is None
        self._folder = folder
        paths = os.pathsep.join(map(str, (ROOT / "app", ROOT / "server")))
        ours = {f"UNEXPIRED_{name.upper()}": str(value) for name, value in settings.items()}
        self._environment = clean_environment() | {"PYTHONPATH": paths, **(variables or ours)}
        (folder / "main.py").write_text(text)
        self.url = ""

    @property
    def log(self) -> str:
        """What the process has written."""
        return (self._folder / "host.log").read_text()

    def start(self) -> Self:
        """Start, and wait until it listens.

        Raises:
            RuntimeError: It ended instead; the message holds its log.
        """
        if self._has_users:
            add_user(self._folder)
        with (self._folder / "host.log").open("w") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "main:app", "--port", "0"],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._address()
        return self

    def stop(self) -> None:
        """End the process."""
        self.child.terminate()
        self.child.wait(TIMEOUT)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a JSON body; return that of the response."""
        response = plain_http.post(self.url + path, json=body, timeout=TIMEOUT)
        return response.json() if response.content else {}

    def sign_in(self) -> dict[str, Any]:
        """Return the response to a sign-in."""
        return self.post("/api/login", {"username": USER, "password": PASSWORD})

    def _address(self) -> str:
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self.child.poll() is None:
            if found := re.search(r"running on (http://\S+)", self.log):
                return found[1]
            time.sleep(0.02)
        raise RuntimeError(self.log)
