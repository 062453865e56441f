"""Fill vendor/ with all that the page loads at run time, so that it never asks another host.

The JavaScript comes from node_modules (pinned by package-lock.json), pyodide-http from the Python
registry (pinned with its hashes by browser-wheels.lock). Beside Pyodide lands a lock file of our
own that lists just this wheel: Pyodide checks its hash again when it loads it.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

import unexpired_kit
from unexpired_kit import node
from unexpired_kit.compression import compress_all

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
WHEELS = ROOT / "tools" / "browser-wheels.lock"
KIT = Path(unexpired_kit.__file__).parent
VENDOR = ROOT / "vendor"
STAMP = ".inputs"

PYODIDE_FILES = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
# Of what PyScript loads on demand: the parser of pyscript.toml, the table of packages that it
# consults, and its small plugins, which it fetches (for MicroPython) even when none is wanted.
PYSCRIPT_PARTS = {
    *("toml", "pyodide_graph", "error", "deprecations-manager"),
    *("donkey", "py-editor", "py-game", "py-terminal"),
}


def main() -> None:
    """Rebuild vendor/ when its inputs changed, and never leave it half done."""
    inputs = _inputs()
    stamp = VENDOR / STAMP
    if stamp.is_file() and stamp.read_text() == inputs:
        print("vendor/ is up to date.")
        return
    staging = ROOT / "build" / "vendor"
    shutil.rmtree(staging, ignore_errors=True)
    _fill(staging)
    (staging / STAMP).write_text(inputs)
    shutil.rmtree(VENDOR, ignore_errors=True)
    staging.rename(VENDOR)
    print("vendor/ holds the browser runtime.")


def _inputs() -> str:
    """A digest of everything that decides what vendor/ holds."""
    digest = hashlib.sha256()
    for source in (ROOT / "package-lock.json", WHEELS, *_our_sources(), Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _our_sources() -> list[Path]:
    """What the kit has of the runtime: the page's scripts, and the snapshot's."""
    return [
        KIT / "compression.py",
        *(KIT / "scripts" / name for name in ("make_snapshot.mjs", "keep_pyscript.py")),
        *sorted((KIT / "browser").iterdir()),
    ]


def _fill(target: Path) -> None:
    shutil.copytree(KIT / "browser", target)
    _copy_pico(target)
    _copy_pyscript(target / "pyscript")
    _copy_pyodide(target / "pyodide")
    _download_wheels(target / "pyodide")
    _write_pyodide_lock(target / "pyodide")
    node.make_snapshot(target / "pyodide")
    compress_all(target)


def _copy_pico(target: Path) -> None:
    package = MODULES / "@picocss" / "pico"
    shutil.copy(package / "css" / "pico.classless.min.css", target / "pico.css")
    shutil.copy(package / "LICENSE.md", target / "pico.LICENSE.md")


def _copy_pyscript(target: Path) -> None:
    package = MODULES / "@pyscript" / "core"
    dist = package / "dist"
    target.mkdir()
    shutil.copy(package / "LICENSE", target)
    shutil.copy(dist / "core.js", target)
    # Its modules in Python, which core.js contains, too: the snapshot keeps them compiled.
    shutil.copy(package / "src" / "stdlib" / "pyscript.js", target / "stdlib.mjs")
    (core,) = dist.glob("core-*.js")
    shutil.copy(core, target)
    for file, part in re.findall(r'import\("\./(([\w-]+)-[\w-]{8}\.js)"', core.read_text()):
        if part in PYSCRIPT_PARTS:
            shutil.copy(dist / file, target)


def _copy_pyodide(target: Path) -> None:
    target.mkdir()
    for name in PYODIDE_FILES:
        shutil.copyfile(MODULES / "pyodide" / name, target / name)


def _download_wheels(target: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(target))
    subprocess.run([*pip, *options, "--requirement", str(WHEELS)], check=True)  # noqa: S603 - Fixed words.


def _write_pyodide_lock(target: Path) -> None:
    theirs = json.loads((MODULES / "pyodide" / "pyodide-lock.json").read_text())
    packages = [lock_entry(wheel) for wheel in sorted(target.glob("*.whl"))]
    ours = {"info": theirs["info"], "packages": {entry["name"]: entry for entry in packages}}
    (target / "pyodide-lock.json").write_text(json.dumps(ours, indent=1))


def lock_entry(wheel: Path) -> dict[str, object]:
    """One package in the form that Pyodide's lock file gives it."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return {
        "name": str(name),
        "version": str(version),
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": _top_level_packages(wheel),
        "depends": [],
        "unvendored_tests": False,
    }


def _top_level_packages(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        inits = [name for name in archive.namelist() if name.endswith("/__init__.py")]
    return sorted({name.split("/")[0] for name in inits})


if __name__ == "__main__":
    main()
