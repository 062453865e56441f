"""What is checked before a release goes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from check_release import NotReadyError, check_distributions, main, section, version_of
from tests.support.paths import ROOT

CHANGELOG = """# Changelog

## Unreleased

### Added

- Not yet out.

## [0.1.10] - 2026-12-01

- The tenth.

## 0.1.1 (2026-11-25)

### Added

- The first.

[0.1.10]: https://example.com/compare/v0.1.1...v0.1.10
"""


def distributions(folder: Path, version: str) -> Path:
    """Lay out what a build leaves."""
    for package in ("unexpired", "unexpired_kit", "unexpired_server"):
        (folder / f"{package}-{version}.tar.gz").touch()
        (folder / f"{package}-{version}-py3-none-any.whl").touch()
    return folder


def test_a_tag_names_a_version() -> None:
    assert version_of("v0.1.0") == "0.1.0"


@pytest.mark.parametrize("tag", ["0.1.0", "v0.1", "v0.1.0rc1", "version", "v0.1.0\n"])
def test_another_tag_is_refused(tag: str) -> None:
    with pytest.raises(NotReadyError, match="is not of the form"):
        version_of(tag)


def test_all_packages_of_the_tagged_version_can_go_out(tmp_path: Path) -> None:
    check_distributions(distributions(tmp_path, "0.1.0"), "0.1.0")


def test_a_tag_ahead_of_the_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"unexpired-0\.2\.0\.tar\.gz"):
        check_distributions(distributions(tmp_path, "0.1.0"), "0.2.0")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (distributions(tmp_path, "0.1.0") / "unexpired-0.1.0.tar.gz").unlink()
    with pytest.raises(NotReadyError, match=r"unexpired-0\.1\.0\.tar\.gz is missing"):
        check_distributions(tmp_path, "0.1.0")


def test_a_file_of_an_earlier_build_is_not_published(tmp_path: Path) -> None:
    distributions(distributions(tmp_path, "0.1.0"), "0.0.9")
    with pytest.raises(NotReadyError, match=r"unexpired-0\.0\.9.* does not belong to 0\.1\.0"):
        check_distributions(tmp_path, "0.1.0")


@pytest.mark.parametrize(
    ("version", "notes"),
    [("0.1.10", "- The tenth.\n"), ("0.1.1", "### Added\n\n- The first.\n")],
)
def test_the_notes_are_the_versions_own(version: str, notes: str) -> None:
    """Neither those of a version whose number begins with the same digits, nor what follows."""
    assert section(CHANGELOG, version) == notes


@pytest.mark.parametrize("changelog", [CHANGELOG, "## [0.1.2]\n\n## 0.1.1\n\n- The first.\n"])
def test_a_version_without_notes_is_refused(changelog: str) -> None:
    with pytest.raises(NotReadyError, match=r"says nothing of 0\.1\.2"):
        section(changelog, "0.1.2")


def test_a_release_that_is_ready_has_its_notes_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(CHANGELOG, encoding="utf-8")
    monkeypatch.setattr("check_release.CHANGELOG", changelog)
    build = tmp_path / "dist"
    build.mkdir()
    main("v0.1.10", distributions(build, "0.1.10"), tmp_path / "notes.md")
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "- The tenth.\n"


def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    """No traceback, and a status that stops the workflow."""
    command = [sys.executable, str(ROOT / "tools" / "check_release.py"), "v9.9.9"]
    folder = distributions(tmp_path, "9.9.9")
    done = subprocess.run(  # noqa: S603 - Our own words.
        [*command, str(folder), str(tmp_path / "notes.md")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "CHANGELOG.md says nothing of 9.9.9.\n")
