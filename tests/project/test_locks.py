"""The lock files are complete: an installation never looks for anything that is not in its lock.

Set-up installs just what is locked, and asks for no dependencies, so nothing else would notice.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

OURS = "requirements.lock"
HOSTS = [
    f"tests/e2e/hosts/{name}.lock" for name in ("requirements", "kernel-wheels", "marimo-wheels")
]
TOOLS = ("deploy/requirements.lock", "tools/browser-wheels.lock", "tools/release.lock")
LOCKS = (OURS, "benchmarks/requirements.lock", *TOOLS, *HOSTS)
SKIPPED = re.compile(r"\s*(#|$)")  # A comment, or nothing.
HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Locked:
    """One line of a lock."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name as it is compared with others."""
        return canonicalize_name(self.requirement.name)

    def is_pinned(self) -> bool:
        """Return whether one version is allowed, and each file of it has a hash."""
        pins = [
            pin.operator == "==" and "*" not in pin.version for pin in self.requirement.specifier
        ]
        return pins == [True] and bool(self.hashes) and all(map(HASH.fullmatch, self.hashes))

    def is_for_this_machine(self) -> bool:
        """Return whether the line counts for this Python on this system."""
        return is_wanted(self.requirement, {""})

    def installed(self) -> metadata.Distribution | None:
        """Return the package as it is installed here, if it is, in the locked version."""
        try:
            found = metadata.distribution(self.name)
        except metadata.PackageNotFoundError:
            return None
        return (
            found if self.requirement.specifier.contains(found.version, prereleases=True) else None
        )


def read(name: str) -> str:
    return (ROOT / name).read_text()


def parse(lock: str) -> list[Locked]:
    """Return the lines of a lock, each with the hashes that follow it."""
    lines = lock.replace("\\\n", " ").splitlines()
    parts = [line.split("--hash=") for line in lines if not SKIPPED.match(line)]
    return [Locked(Requirement(first), tuple(map(str.strip, hashes))) for first, *hashes in parts]


def is_wanted(requirement: Requirement, extras: set[str]) -> bool:
    """Return whether a requirement counts here, of a package that has these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def wanted_by(line: Locked, found: metadata.Distribution) -> Iterator[Requirement]:
    """Yield what an installed package needs here, with the extras that its line has."""
    for text in found.requires or ():
        requirement = Requirement(text)
        if is_wanted(requirement, {"", *line.requirement.extras}):
            yield requirement


def gaps(lines: list[Locked]) -> Iterator[str]:
    """Yield what the installed ones of a lock's packages need that the lock does not hold."""
    locked = {line.name: line for line in lines if line.is_for_this_machine()}
    for line in locked.values():
        if found := line.installed():
            for need in wanted_by(line, found):
                if not is_met(need, locked.get(canonicalize_name(need.name))):
                    yield f"{line.name} needs {need}"


def is_met(need: Requirement, line: Locked | None) -> bool:
    """Return whether a line of a lock has the version and the extras that somebody needs."""
    if line is None or not need.extras <= line.requirement.extras:
        return False
    (pin,) = line.requirement.specifier
    return need.specifier.contains(pin.version, prereleases=True)


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_is_pinned_and_hashed(name: str) -> None:
    lines = parse(read(name))
    assert lines
    assert not [str(line.requirement) for line in lines if not line.is_pinned()]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_all_that_its_packages_need(name: str) -> None:
    assert not list(gaps(parse(read(name))))


def test_this_environment_is_the_lock() -> None:
    ours = [line for line in parse(read(OURS)) if line.is_for_this_machine()]
    assert not [str(line.requirement) for line in ours if line.installed() is None]


def test_a_line_without_its_extras_is_a_gap() -> None:
    lock = read(OURS).replace("coverage[toml]==", "coverage==")
    (gap,) = gaps(parse(lock))
    assert gap.startswith("pytest-cov needs coverage[toml]")


def test_a_line_that_is_gone_is_a_gap() -> None:
    lines = [line for line in parse(read(OURS)) if line.name != "idna"]
    assert any(gap.startswith("anyio needs idna") for gap in gaps(lines))


def test_another_version_than_the_needed_one_is_a_gap() -> None:
    lock = re.sub(r"^anyio==\S+", "anyio==1.0", read(OURS), flags=re.MULTILINE)
    assert any("needs anyio" in gap for gap in gaps(parse(lock)))


@pytest.mark.parametrize(
    "line",
    [
        "idna==3.1",
        "idna>=3.1 --hash=sha256:" + 64 * "0",
        "idna==3.* --hash=sha256:" + 64 * "0",
        "idna==3.1 --hash=md5:" + 32 * "0",
        "idna --hash=sha256:" + 64 * "0",
    ],
)
def test_what_a_pinned_line_is_not(line: str) -> None:
    (locked,) = parse(line)
    assert not locked.is_pinned()


def test_the_deployed_lock_has_all_that_the_server_requires() -> None:
    project = tomllib.loads(read("server/pyproject.toml"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["all"]]
    wanted = {canonicalize_name(Requirement(one).name) for one in required} - {"unexpired"}
    assert wanted <= {line.name for line in parse(read("deploy/requirements.lock"))}
