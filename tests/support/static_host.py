"""A static host: ``http.server``, which serves a folder and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPTIONS = ("-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory")


@contextmanager
def static_host(folder: Path) -> Iterator[str]:
    """Serve a folder in a process of its own; yield its address."""
    with subprocess.Popen(  # noqa: S603 - Our own command.
        [sys.executable, *OPTIONS, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert address is not None
        try:
            yield address[0]
        finally:
            process.terminate()
