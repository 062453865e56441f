"""The shop of examples/, in a process of its own, with nothing of ours but the wheels."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from tests.support.paths import ROOT
from tests.support.server_process import STOP_SECONDS, TIMEOUT_SECONDS, clean_environment

SHOP = ROOT / "examples" / "shop"
PAUSE = 0.05  # s


class ShopProcess:
    """``uvicorn shop.main:app``, as the example's README says.

    Args:
        folder: Keeps its data and its log.
        installed: Where the wheels are installed.
        page: The built page.
        **settings: Of the server, such as ``access_ttl=3``.
    """

    def __init__(self, folder: Path, installed: Path, page: Path, **settings: object) -> None:
        self._folder = folder
        self._environment = {
            **clean_environment(),
            "PYTHONPATH": str(installed),
            "SHOP_DATA": str(folder / "data"),
            "SHOP_PAGE": str(page),
            **{f"UNEXPIRED_{name.upper()}": str(value) for name, value in settings.items()},
        }

    def imports(self, module: str) -> Path:
        """Return the file that the shop imports a module from."""
        code = f"import {module}; print({module}.__file__)"
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-c", code],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return Path(done.stdout.strip())

    def start(self) -> Self:
        """Start, and wait until the shop is open."""
        # Bound here and handed on, so that no other process can take the port in between.
        listening = socket.create_server(("127.0.0.1", 0))
        listening.set_inheritable(True)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with (self._folder / "shop.log").open("a") as log:
            self.child = subprocess.Popen(  # noqa: S603 - our own words
                [
                    *(sys.executable, "-m", "uvicorn", "shop.main:app", "--app-dir", str(SHOP)),
                    *("--fd", str(listening.fileno())),
                ],
                cwd=self._folder,
                env=self._environment,
                pass_fds=[listening.fileno()],
                stdout=log,
                stderr=log,
            )
        listening.close()
        self._wait()
        return self

    def stop(self) -> None:
        """Stop, and wait until the process is gone."""
        self.child.terminate()
        self.child.wait(STOP_SECONDS)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self._folder / "shop.log").read_text()

    def _wait(self) -> None:
        until = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < until:
            if self.child.poll() is not None:
                raise RuntimeError(f"the shop did not open:\n{self.log}")
            try:
                urllib.request.urlopen(f"{self.url}/api/teas", timeout=1).close()  # noqa: S310
            except (urllib.error.URLError, OSError):
                time.sleep(PAUSE)
            else:
                return
        raise RuntimeError(f"the shop did not open in time:\n{self.log}")
