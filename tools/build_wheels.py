"""Build the three distributions, each as a wheel and an sdist.

The build works offline, because uv contains its build backend, and the same tree gives the same
bytes. `uv build` in the root, and in server/, builds them by hand; what this script adds is links
in the README that work on the package index, the tests of the others in their sdists, and the
browser's runtime, vendor/, within the kit.
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
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "server"
KIT = ROOT / "kit"
VENDOR = ROOT / "vendor"
PACKAGE = "unexpired_server"
KIT_PACKAGE = "unexpired_kit"
CACHES = shutil.ignore_patterns("__pycache__")
# Each build of a page makes a snapshot of its own, and compressed forms, which would make the wheel
# twice as large.
NOT_OF_THE_RUNTIME = shutil.ignore_patterns(".*", "snapshot.*", "archives.json", "*.br", "*.gz")
FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)
# The target of a link or a picture: "](target" in Markdown, 'src="target' in HTML.
TARGET = re.compile(
    r'(?P<before>!?\]\(|^\[[^\]]+\]: |\b(?:src|srcset|href)=")(?P<path>[^)"\s]+)', re.MULTILINE
)
ABSOLUTE = re.compile(r"[a-z]+:|#|//")
PICTURES = {".svg", ".png", ".jpg", ".gif", ".webp"}


def main() -> None:
    """Build all into the folder that the command line names, in place of older ones."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for file in [*build(target), *(build_sdists(target) if "--sdist" in sys.argv else [])]:
        print(file)


def build(target: Path) -> list[Path]:
    """Build all wheels; return where they are."""
    return _build(target, "--wheel", library_project(), server_project(), kit_project())


def build_sdists(target: Path) -> list[Path]:
    """Build all sdists; return where they are."""
    return _build(target, "--sdist", library_project(), server_project(), kit_project())


def build_library(target: Path) -> None:
    """Build the library's wheel into this folder."""
    _build(target, "--wheel", library_project())


def build_server(target: Path) -> None:
    """Build the server's wheel, and the library's that it needs, into this folder."""
    _build(target, "--wheel", library_project(), server_project())


def _build(target: Path, kind: str, *projects: AbstractContextManager[Path]) -> list[Path]:
    for staged in projects:
        with staged as project:
            run_build(project, target, kind)
    return sorted(target.glob("*.whl" if kind == "--wheel" else "*.tar.gz"))


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


@contextmanager
def kit_project() -> Iterator[Path]:
    """Yield the kit's project: its package, the browser's runtime in it, and its tests."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / KIT_PACKAGE
        shutil.copytree(KIT, project, ignore=CACHES)
        _copy_runtime(project / KIT_PACKAGE)
        shutil.copy(ROOT / "CHANGELOG.md", project)
        shutil.copytree(ROOT / "tests" / "kit", project / "tests" / "kit", ignore=CACHES)
        make_links_absolute(project / "README.md", KIT)
        yield project


def _copy_runtime(package: Path) -> None:
    runtime = package / VENDOR.name
    shutil.copytree(VENDOR, runtime, ignore=NOT_OF_THE_RUNTIME)
    for script in (package / "browser").iterdir():
        (runtime / script.name).unlink()  # The kit's own, which it copies into each page.


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
