"""Find the programs that `make cluster` runs, or install them where apt and our rights allow it.

Where some are missing, `make cluster` says so, and its short form in the tests is skipped.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 600
OPTIONS = ("--yes", "--no-install-recommends")
POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by every package of Debian before it starts a service."""
PACKAGES = {
    "initdb": "postgresql",
    "pgbouncer": "pgbouncer",
    "haproxy": "haproxy",
    "redis-server": "redis-server",
    "faketime": "faketime",
}
"""The program that shows that a package of Debian is there."""

FOLDERS = (*map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/sbin", "/sbin")


def missing() -> list[str]:
    """Return the packages of which there is no program."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *FOLDERS))
    return [package for name, package in PACKAGES.items() if not shutil.which(name, path=path)]


def main() -> None:
    """Say in one sentence what the cluster lacks, if anything."""
    lacking = missing()
    if lacking and shutil.which("apt-get") and os.geteuid() == 0:
        print(f"Installing Debian's {' and '.join(lacking)}.", flush=True)
        _install(lacking)
        lacking = missing()
    if lacking:
        print(
            f"The tests of a cluster lack {', '.join(lacking)}: they are skipped. "
            f"On Debian, apt install {' '.join(lacking)} brings them.",
            file=sys.stderr,
        )


def _install(packages: list[str]) -> None:
    with _services_stay_off():
        for words in (("update",), ("install", *OPTIONS, *packages)):
            done = subprocess.run(  # noqa: S603 - Fixed words.
                ("apt-get", *words),  # noqa: S607 - Debian's own.
                check=False,
                capture_output=True,
                text=True,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                timeout=SECONDS,
            )
            if done.returncode:
                print(done.stdout[-1000:], done.stderr[-1000:], file=sys.stderr)


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Let no package start its service: the tests start their own, on other ports."""
    if POLICY.exists():
        yield  # The machine's owner has one already.
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    main()
