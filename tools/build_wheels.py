"""Build the two distributions, each as a wheel and an sdist.

The build works offline, because uv contains its build backend, and the same tree gives the same
bytes. `uv build` in the root, and in server/, builds them by hand; what this script adds is links
in the README that work on the package index, and the server's tests in its sdist.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "server"
PACKAGE = "unexpired_server"
CACHES = shutil.ignore_patterns("__pycache__")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
# The target of a link or a picture: "](target" in Markdown, 'src="target' in HTML.
TARGET = re.compile(
    r'(?P<before>!?\]\(|^\[[^\]]+\]: |\b(?:src|srcset|href)=")(?P<path>[^)"\s]+)', re.MULTILINE
)
ABSOLUTE = re.compile(r"[a-z]+:|#|//")
PICTURES = {".svg", ".png", ".jpg", ".gif", ".webp"}


def main() -> None:
    """Build both into the folder that the command line names, in place of older ones."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for file in [*build(target), *(build_sdists(target) if "--sdist" in sys.argv else [])]:
        print(file)


def build(target: Path) -> list[Path]:
    """Build both wheels; return where they are."""
    build_library(target)
    with server_project() as project:
        run_build(project, target, "--wheel")
    return sorted(target.glob("*.whl"))


def build_library(target: Path) -> None:
    """Build the library's wheel into this folder."""
    with library_project() as project:
        run_build(project, target, "--wheel")


def build_sdists(target: Path) -> list[Path]:
    """Build both sdists; return where they are."""
    for staged in (library_project(), server_project()):
        with staged as project:
            run_build(project, target, "--sdist")
    return sorted(target.glob("*.tar.gz"))


@contextmanager
def library_project() -> Iterator[Path]:
    """Yield the library's project: the files of its own sdist, with a README for the index."""
    with tempfile.TemporaryDirectory() as folder:
        run_build(ROOT, Path(folder), "--sdist")
        (archive,) = Path(folder).glob("*.tar.gz")
        project = unpack(archive, Path(folder))
        (project / "pyproject.toml.orig").replace(project / "pyproject.toml")  # With its comments.
        make_links_absolute(project / "README.md", ROOT)
        yield project


@contextmanager
def server_project() -> Iterator[Path]:
    """Yield the server's project: its package, its tests and the demo that they start."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / PACKAGE
        shutil.copytree(SERVER / PACKAGE, project / PACKAGE, ignore=CACHES)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(SERVER / name, project)
        for name in ("CHANGELOG.md", "index.html"):  # A test compares the page's policy.
            shutil.copy(ROOT / name, project)
        shutil.copytree(SERVER, project / "server", ignore=_all_but_the_demo)
        for name in ("server", "support"):
            if (ROOT / "tests" / name).is_dir():
                shutil.copytree(ROOT / "tests" / name, project / "tests" / name, ignore=CACHES)
        make_links_absolute(project / "README.md", SERVER)
        yield project


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist into a folder; return the project's folder in it."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def run_build(project: Path, target: Path, kind: str) -> None:
    """Build one distribution of a project.

    Args:
        project: Where its project file is.
        target: Where to put the distribution.
        kind: `--wheel` or `--sdist`.
    """
    offline = ("--quiet", "--offline", "--no-config", "--no-create-gitignore")
    command = [find_uv_bin(), "build", *offline, kind, "--out-dir", str(target), str(project)]
    subprocess.run(command, check=True)  # noqa: S603 - Our own words.


def make_links_absolute(readme: Path, home: Path) -> None:
    """Rewrite a README's relative links and pictures to the repository at the version's tag.

    The package index shows the README without the files beside it.

    Args:
        readme: The file to rewrite.
        home: The folder in the repository that its links are relative to.
    """
    parts = FENCE.split(readme.read_text("utf-8"))  # Every other part is a block of code.
    parts[::2] = [TARGET.sub(lambda found: _absolute(found, home), part) for part in parts[::2]]
    readme.write_text("".join(parts), "utf-8")


def _absolute(found: re.Match[str], home: Path) -> str:
    before, path = found["before"], found["path"]
    return found[0] if ABSOLUTE.match(path) else before + address(path, home)


def address(path: str, home: Path) -> str:
    """Return the address of a file of the repository at the version's tag.

    Args:
        path: The file, relative to its reader; a fragment may follow.
        home: The folder that the path is relative to.
    """
    name, _, fragment = path.partition("#")
    file = (home / name).resolve()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    kind = "raw" if file.suffix in PICTURES else "tree" if file.is_dir() else "blob"
    place = f"{project['urls']['Source']}/{kind}/v{project['version']}"
    return "#".join(filter(None, (f"{place}/{file.relative_to(ROOT).as_posix()}", fragment)))


def _all_but_the_demo(folder: str, names: list[str]) -> set[str]:
    is_top = Path(folder) == SERVER
    return {name for name in names if is_top and not name.endswith(".py")}


if __name__ == "__main__":
    main()
