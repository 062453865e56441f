"""Build a page of examples/ with everything it loads: the browser's runtime, and the wheel."""

import shutil
import sys
from pathlib import Path

from build_wheels import ROOT, build_library
from unexpired_kit.site import CALLBACK


def main() -> None:
    """Build the example and the folder that the command line names."""
    build(sys.argv[1], Path(sys.argv[2]))


def build(name: str, target: Path) -> None:
    """Build an example, and replace an older build.

    Args:
        name: The example's folder under examples/.
        target: The folder to build, for ``python -m server serve --page-dir``.
    """
    shutil.rmtree(target, ignore_errors=True)
    example = ROOT / "examples" / name
    page = example / "page"  # Where there is a server, too, the page has a folder of its own.
    shutil.copytree(page if page.is_dir() else example, target)
    shutil.copytree(ROOT / "vendor", target / "vendor")
    shutil.copytree(ROOT / CALLBACK, target, dirs_exist_ok=True)
    build_library(target / "vendor")


if __name__ == "__main__":
    main()
