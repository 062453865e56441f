"""Install the locks for real, with every Python found, several versions of pip, and uv.

Each trial runs the Makefile's own recipe in a fresh folder, with nothing cached, on a day when
every locked package has a newer release: empty ones, offered beside the index. A recipe without
--no-deps has to fail then, or the trials would prove nothing. All are whole installations, because
pip's dry run downloads everything too when there are hashes.

Usage: make test-install
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = "requirements.lock"
INPUTS = ("Makefile", "tools/check_machine.sh", "package.json", "package-lock.json", ".npmrc")
LOCKS = (LOCK, f"benchmarks/{LOCK}")
MAIN, BENCHMARKS = ".venv", "benchmarks/.venv"
OLDEST, NEWEST = (3, 11), (3, 14)
PIPS = ("23.0", "23.2.1", "24.0", "25.*", "26.*")  # The first two came with Python 3.11 and 3.12.
STRICTEST = "23.2.1"  # From 23.3 on pip finds the locked release by itself.
NO_DEPS = "--no-deps "
IMPORTS = {
    MAIN: "httpx, jwt, mypy, playwright.sync_api, pytest, sqlalchemy, starlette, uvicorn",
    BENCHMARKS: "django, fastapi, flask_jwt_extended, matplotlib, psycopg, uvicorn",
}
NO_UV = ""
TOO_LONG = 1800.0
LOCKED = re.compile(r"^([a-z0-9.-]+)(?:\[.*\])?==", re.MULTILINE)
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
# Python 2 understands this too. The base is the Python that an environment was made with.
ASK = """
import sys
base = getattr(sys, "_base_executable", sys.executable)
sys.stdout.write("%d.%d.%d %s" % (sys.version_info[:3] + (base,)))
"""
# A Python whose environments have another pip than its own.
WITH_PIP = """#!/bin/sh
'{python}' "$@" || exit
[ "$1 $2" != "-m venv" ] || "$4/bin/python" -m pip install --quiet --no-deps 'pip=={pip}'
"""


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter on this machine."""

    version: tuple[int, ...]
    path: str

    def __str__(self) -> str:
        """Return the version as people write it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recipe printed, what is wrong with its environment, and what that holds."""

    output: str
    problem: str
    seconds: float
    pip: str
    packages: frozenset[str]


class Table:
    """The results, printed one by one."""

    def __init__(self) -> None:
        self.failures = 0
        self.add("PYTHON", "INSTALLED WITH", "TIME", "RESULT")

    def add(self, *cells: object) -> None:
        """Print a line of four cells."""
        say("{:8} {:38} {:>7}  {}".format(*map(str, cells)))

    def judge(self, python: Python, tool: str, seconds: float, problem: str) -> None:
        """Print a result, and count it if it is a failure."""
        self.failures += bool(problem)
        self.add(python, tool, f"{seconds:.0f} s", f"FAILED: {problem}" if problem else "ok")

    def skip(self, python: object, tool: str, reason: str) -> None:
        """Print what could not be tried, and why."""
        self.add(python, tool, "", f"skipped: {reason}")


class Workshop:
    """A folder for the trials, with the newer releases in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._newer = folder / "newer"
        self._newer.mkdir()
        for name in locked_names():
            write_newer_release(self._newer, name)

    def install(self, python: str, uv: str = NO_UV, venv: str = MAIN, without: str = "") -> Outcome:
        """Make an environment by the Makefile in a fresh folder, and look at it.

        Args:
            python: The command to make it with.
            uv: The path of uv, or nothing to install with pip.
            venv: Which of the Makefile's environments.
            without: What to leave out of the Makefile.
        """
        copy = self._copy()
        makefile = copy / "Makefile"
        makefile.write_text(makefile.read_text().replace(without, ""))
        started = time.monotonic()
        made = self._make(copy, f"{venv}/.ready", f"PYTHON={python}", f"UV={uv}")
        seconds = time.monotonic() - started
        return self._examine(copy / venv, venv, made, seconds)

    def set_up(self, python: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
        """Return what set-up with a Python says, and what it has made."""
        copy = self._copy()
        made = self._make(copy, "setup", f"PYTHON={python}")
        return made, [*copy.glob("*/.ready"), *copy.glob(".venv"), *copy.glob("node_modules")]

    def python_with_pip(self, python: Python, pip: str) -> str:
        """Return a command that makes environments with this pip in them."""
        command = self._folder / "python"
        command.write_text(WITH_PIP.format(python=python.path, pip=pip))
        command.chmod(0o755)
        return str(command)

    def keep_uv(self) -> str:
        """Return the path of the uv that the last environment holds, out of the way of the next."""
        return str(shutil.copy2(self._folder / "copy" / MAIN / "bin" / "uv", self._folder / "uv"))

    def _copy(self) -> Path:
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        for name in (*INPUTS, *LOCKS):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        return copy

    def _make(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run("make", "-C", str(folder), *arguments, env=self._environment())

    def _environment(self) -> dict[str, str]:
        """Return the caller's, which may name an index, with the newer releases and no caches."""
        inherited = {name: value for name, value in os.environ.items() if "MAKE" not in name}
        links = f"{os.environ.get('PIP_FIND_LINKS', '')} {self._newer}".strip()
        mine = {"PIP_FIND_LINKS": links, "UV_FIND_LINKS": str(self._newer)}
        return inherited | mine | {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1"}

    def _examine(
        self, folder: Path, venv: str, made: subprocess.CompletedProcess[str], seconds: float
    ) -> Outcome:
        python = str(folder / "bin" / "python")
        pip = run(python, "-m", "pip", "--version").stdout.partition(" from ")[0]
        check = run(python, "-m", "pip", "check")
        imports = run(python, "-c", f"import {IMPORTS[venv]}")
        packages = run(python, "-m", "pip", "list", "--format=freeze").stdout.split()
        failed = (step for step in (made, check, imports) if step.returncode)
        problem = next((last_words(step) for step in failed), "")
        return Outcome(made.stdout + made.stderr, problem, seconds, pip, frozenset(packages))


def main() -> None:
    """Run every trial and exit with 1 if one of them failed."""
    pythons = found_pythons()
    good = [python for python in pythons if python.version >= OLDEST]
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(Path(folder))
        for python in good:
            try_python(workshop, table, python)
        for pip in PIPS:
            try_pip(workshop, table, good, pip)
        try_benchmarks(workshop, table, good[0])
        for python in pythons:
            if python not in good:
                try_too_old(workshop, table, python)
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        if not any(python.version[:2] == (3, minor) for python in good):
            table.skip(f"3.{minor}", "", "not found on this machine")
    say(f"{table.failures} failed")
    sys.exit(table.failures > 0)


def try_python(workshop: Workshop, table: Table, python: Python) -> None:
    """Install with the pip that the Python brings and with uv: the packages must be the same."""
    by_pip = workshop.install(python.path)
    table.judge(python, f"its own {by_pip.pip}", by_pip.seconds, by_pip.problem)
    if by_pip.problem:
        table.skip(python, "uv", "the trial before brings it, and has failed")
        return
    by_uv = workshop.install(python.path, workshop.keep_uv())
    problem = by_uv.problem or difference(by_pip, by_uv)
    table.judge(python, "uv, the same packages", by_uv.seconds, problem)


def try_pip(workshop: Workshop, table: Table, pythons: list[Python], pip: str) -> None:
    """Install with this pip, on the first Python that it can run on."""
    for python in pythons:
        command = workshop.python_with_pip(python, pip)
        outcome = workshop.install(command)
        if outcome.pip:
            table.judge(python, outcome.pip, outcome.seconds, outcome.problem)
            if pip == STRICTEST:
                try_with_dependencies(workshop, table, python, command)
            return
        table.skip(python, f"pip {pip}", f"pip {pip} does not run on Python {python}")


def try_with_dependencies(workshop: Workshop, table: Table, python: Python, command: str) -> None:
    """Show that the recipe without --no-deps fails: it is what the newer releases are there for."""
    outcome = workshop.install(command, without=NO_DEPS)
    refused = "must have their versions pinned" in outcome.output
    problem = "" if refused else f"this should have been refused: {outcome.problem or 'it worked'}"
    table.judge(python, f"{outcome.pip} with dependencies: refused", outcome.seconds, problem)


def try_benchmarks(workshop: Workshop, table: Table, python: Python) -> None:
    """Install what the benchmarks need, with the pip that asks most of a lock."""
    command = workshop.python_with_pip(python, STRICTEST)
    outcome = workshop.install(command, venv=BENCHMARKS)
    table.judge(python, f"{outcome.pip}, benchmarks", outcome.seconds, outcome.problem)


def try_too_old(workshop: Workshop, table: Table, python: Python) -> None:
    """Set up with a Python that is too old: one sentence, and nothing downloaded."""
    started = time.monotonic()
    made, traces = workshop.set_up(python.path)
    sentence = next(iter(made.stderr.splitlines()), "")
    expected = f"Unexpired needs Python 3.11 or later, but {python.path} is {python}; "
    is_shown = made.returncode and sentence.startswith(expected) and not traces
    problem = "" if is_shown else f"{last_words(made)} {traces}"
    table.judge(python, "too old: one sentence", time.monotonic() - started, problem)


def difference(one: Outcome, other: Outcome) -> str:
    """Return what is wrong with two environments that pip and uv should have made alike."""
    if "with pip" in other.output:
        return "uv failed, and pip took over"
    apart = one.packages ^ other.packages
    return f"not the same packages: {' '.join(sorted(apart))}" if apart else ""


def found_pythons() -> list[Python]:
    """Return one Python of each version found on this machine: ours first, the others by age."""
    ours, *others = filter(None, map(ask, candidates()))
    found = {python.version: python for python in reversed(others)} | {ours.version: ours}
    return sorted(found.values(), key=lambda python: (python != ours, python.version))


def candidates() -> Iterator[str]:
    """Yield whatever may be a Python, ours first."""
    yield sys.executable
    for folder in os.get_exec_path():
        yield from (str(path) for path in Path(folder).glob("python3*"))
    yield from (str(path) for path in PYENV.glob("versions/*/bin/python"))


def ask(path: str) -> Python | None:
    """Return the Python behind a path, outside of any environment, if there is one."""
    if not re.fullmatch(r"python[\d.]*", Path(path).name):
        return None
    version, _, base = run(path, "-c", ASK).stdout.partition(" ")
    return Python(tuple(map(int, version.split("."))), base) if base else None


def locked_names() -> set[str]:
    """Return the name of every package in a lock."""
    texts = ((ROOT / lock).read_text() for lock in LOCKS)
    return {match[1] for text in texts for match in LOCKED.finditer(text)}


def write_newer_release(folder: Path, name: str) -> None:
    """Write a wheel of a release that is newer than any, with nothing in it."""
    release = f"{re.sub('[-.]', '_', name)}-9999"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n",
        "WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{release}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{release}.dist-info/{file}", text)


def run(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return what it said; one that cannot be run has failed."""
    try:
        return subprocess.run(  # noqa: S603 - Our own words, and Pythons of this machine.
            command, check=False, capture_output=True, text=True, timeout=TOO_LONG, env=env
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return subprocess.CompletedProcess(command, 127, "", str(problem))


def last_words(process: subprocess.CompletedProcess[str]) -> str:
    """Return the error in what a process said, else its last line."""
    lines = process.stderr.split("\n") + process.stdout.split("\n")
    errors = [line for line in lines if "error" in line.lower()]
    return next(iter(errors or filter(None, reversed(lines))), "it said nothing").strip()


def say(line: str) -> None:
    """Print a line at once, for a trial takes a minute."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
