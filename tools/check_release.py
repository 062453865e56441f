"""Check what a tag is about to publish, and write the notes of its release from CHANGELOG.md.

The release workflow runs this before anything is published: PyPI never lets a file be replaced.

    python tools/check_release.py v0.1.0 build/dist build/notes.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
PACKAGES = ("unexpired", "unexpired_kit", "unexpired_server")
TAG = re.compile(r"v(\d+\.\d+\.\d+)")
VERSION_HEADING = re.compile(r"^## \[?(\d+\.\d+\.\d+)\]?(?=\s|$).*\n", re.MULTILINE)
# The next version, or the link references that Keep a Changelog puts at the end.
SECTION_END = re.compile(r"^(?:## |\[[^\]]+\]: )", re.MULTILINE)


class NotReadyError(Exception):
    """The release must not go out; the message says why."""


def main(tag: str, distributions: Path, notes: Path) -> None:
    """Check the distributions against the tag, and write the release notes."""
    version = version_of(tag)
    check_distributions(distributions, version)
    notes.write_text(section(CHANGELOG.read_text(encoding="utf-8"), version), encoding="utf-8")
    print(f"{version} can be released; {notes} holds its notes.")


def version_of(tag: str) -> str:
    """Return the version that a tag names.

    Raises:
        NotReadyError: if the tag is not a ``v`` and a version of three numbers.
    """
    match = TAG.fullmatch(tag)
    if match is None:
        raise NotReadyError(f"The tag {tag} is not of the form v1.2.3.")
    return match[1]


def check_distributions(folder: Path, version: str) -> None:
    """Check that a folder holds a source distribution and a wheel of each package, nothing else.

    Raises:
        NotReadyError: if a file is missing, or there is one that would be published by mistake.
    """
    wanted = {
        f"{package}-{version}{ending}"
        for package in PACKAGES
        for ending in (".tar.gz", "-py3-none-any.whl")
    }
    found = {path.name for path in folder.iterdir()}
    if found != wanted:
        missing = ", ".join(sorted(wanted - found)) or "nothing"
        surplus = ", ".join(sorted(found - wanted)) or "nothing"
        raise NotReadyError(
            f"In {folder}, {missing} is missing and {surplus} does not belong to {version}."
        )


def section(changelog: str, version: str) -> str:
    """Return what a changelog says of a version, without its heading.

    Raises:
        NotReadyError: if it says nothing of that version.
    """
    for heading in VERSION_HEADING.finditer(changelog):
        if heading[1] == version:
            rest = changelog[heading.end() :]
            end = SECTION_END.search(rest)
            if text := rest[: end.start() if end else None].strip():
                return f"{text}\n"
    raise NotReadyError(f"CHANGELOG.md says nothing of {version}.")


if __name__ == "__main__":
    if len(sys.argv) != 4:  # noqa: PLR2004 - The command and its three arguments.
        sys.exit(__doc__)
    try:
        main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    except NotReadyError as error:
        sys.exit(str(error))
