"""Build a page of examples/ with all that it loads: the browser's runtime, and the wheel."""

import shutil
import sys
from pathlib import Path

from build_wheels import ROOT, build_library


def main() -> None:
    """Build an example, by its name, into the folder that the command line names."""
    build(sys.argv[1], Path(sys.argv[2]))


def build(name: str, target: Path) -> None:
    """Build an example in place of an older one.

    Args:
        name: Its folder under examples/.
        target: The folder to build, as `python -m server serve --page-dir` takes it.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / name, target)
    shutil.copytree(ROOT / "vendor", target / "vendor")
    build_library(target / "vendor")


if __name__ == "__main__":
    main()
