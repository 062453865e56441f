"""Build all distributions and check them as the package index and its users will (long).

    python tools/check_distributions.py build/dist build/release-env

The first folder receives the distributions. The second is a virtual environment with what
tools/release.lock names; the wheels are installed in it. Every check must reach its full score.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from build_wheels import build, build_sdists, run_build, unpack

PACKAGES = ("unexpired", "unexpired_kit", "unexpired_server")
TESTS = {
    "unexpired": ["tests/library"],
    "unexpired_kit": ["tests/kit"],
    "unexpired_server": [f"tests/server/test_{one}.py" for one in ("rules", "notes", "keys")],
}
PYROMA_SCORE = re.compile(r"Final rating: (\d+)/10")
TYPES_SCORE = re.compile(r"Type completeness score: (\S+)%")
TESTS_PASSED = re.compile(r"(\d+) passed")


class CheckFailedError(Exception):
    """A check did not reach its full score; the message is what the tool printed."""


def main(target: Path, environment: Path) -> None:
    """Build all, check all, and print a line for each check."""
    shutil.rmtree(target, ignore_errors=True)
    wheels, sdists = build(target), build_sdists(target)
    tools = Tools(environment)
    tools.run("twine", "check", "--strict", *map(str, [*wheels, *sdists]))
    print("twine check --strict: passed")
    tools.run("check-wheel-contents", *map(str, wheels))
    print("check-wheel-contents: nothing found")
    tools.install(wheels)
    for package, wheel, sdist in zip(PACKAGES, wheels, sdists, strict=True):
        print(f"{package}: wheel {wheel.stat().st_size:,} bytes, sdist {sdist.stat().st_size:,}")
        print(f"  pyroma: {tools.score(PYROMA_SCORE, '10', 'pyroma', str(sdist))}/10")
        types = ("pyright", "--ignoreexternal", "--verifytypes", package)
        print(f"  pyright --verifytypes: {tools.score(TYPES_SCORE, '100', *types)} %")
        print(f"  tests in the unpacked sdist: {check_sdist(sdist, wheel, TESTS[package])} passed")


class Tools:
    """The programs of the release environment.

    Args:
        environment: A virtual environment.
    """

    def __init__(self, environment: Path) -> None:
        self._bin = environment.resolve() / ("Scripts" if os.name == "nt" else "bin")
        # pyright finds the interpreter, and with it the packages, by the path.
        path = os.pathsep.join((str(self._bin), os.environ["PATH"]))
        self._variables = {**os.environ, "PATH": path, "NO_COLOR": "1"}

    def install(self, wheels: list[Path]) -> None:
        """Install the wheels, in place of those of an earlier check."""
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall")
        self.run("python", "-m", "pip", "install", *options, *map(str, wheels))

    def score(self, pattern: re.Pattern[str], full: str, *command: str) -> str:
        """Run a tool that gives a score, and return the score.

        Raises:
            CheckFailedError: If it is not the full one.
        """
        output = self.run(*command)
        found = pattern.search(output)
        if found is None or found[1] != full:
            raise CheckFailedError(output)
        return found[1]

    def run(self, name: str, *arguments: str) -> str:
        """Run a program, and return what it prints.

        Raises:
            CheckFailedError: If it fails.
        """
        return run([str(self._bin / name), *arguments], self._variables)


def check_sdist(sdist: Path, wheel: Path, tests: list[str]) -> int:
    """Check that an sdist has all that is needed to build the wheel and to run tests.

    Args:
        sdist: What to unpack.
        wheel: What must come of it, to the byte.
        tests: Which of its tests to run.

    Returns:
        How many tests passed.

    Raises:
        CheckFailedError: If the wheel differs, or a test fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = unpack(sdist, Path(folder))
        run_build(project, Path(folder), "--wheel")
        if (Path(folder) / wheel.name).read_bytes() != wheel.read_bytes():
            raise CheckFailedError(f"{sdist.name} makes another wheel than the project does")
        pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
        passed = TESTS_PASSED.search(run(pytest, dict(os.environ), project))
    return int(passed[1]) if passed else 0


def run(
    command: list[str] | tuple[str, ...], variables: dict[str, str], folder: Path | None = None
) -> str:
    """Run a command, and return what it prints.

    Raises:
        CheckFailedError: If it fails.
    """
    done = subprocess.run(  # noqa: S603 - Our own words.
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CheckFailedError(f"$ {' '.join(command)}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004 - The command and its two arguments.
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except CheckFailedError as error:
        sys.exit(str(error))
