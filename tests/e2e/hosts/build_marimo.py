"""Build a page of a marimo notebook that loads nothing from elsewhere: build_marimo.py TARGET."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HOSTS = Path(__file__).resolve().parent
ROOT = HOSTS.parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from tests.e2e.hosts.pyodide_folder import copy_pyodide  # noqa: E402

ENVIRONMENT = ROOT / "build" / "hosts-env"
PYODIDE = HOSTS / "node_modules" / "pyodide-314.0.0"
WASM = "pyemscripten_2026_0_wasm32"
PYYAML = "pyyaml-6.0.4-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: pyyaml\nVersion: 6.0.4\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ELEMENT = "<marimo-wasm"
ATTRIBUTES = (
    ' data-pyodide-index-url="/app/marimo/pyodide/"'
    ' data-pyodide-lockfile-url="/app/marimo/pyodide/pyodide-lock.json"'
)


def main() -> None:
    """Build the page into the folder that the command line names."""
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(target, ignore_errors=True)
    command = (ENVIRONMENT / "bin" / "marimo", "export", "html-wasm", "--mode", "run")
    notebook = (HOSTS / "marimo_notebook.py", "--output", target)
    subprocess.run(list(map(str, (*command, *notebook))), check=True)  # noqa: S603 - our own words
    index = target / "index.html"
    index.write_text(index.read_text().replace(ELEMENT, ELEMENT + ATTRIBUTES))
    pyodide = target / "pyodide"
    copy_pyodide(PYODIDE, pyodide)
    _download(pyodide)
    _pack_pyyaml(pyodide / PYYAML)


def _download(target: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(target))
    python = ("--python-version", "3.14", "--implementation", "cp", "--abi", "cp314", "--abi")
    wanted = ("none", "--platform", WASM, "--platform", "any", "--requirement")
    lock = str(HOSTS / "marimo-wheels.lock")
    subprocess.run([*pip, *options, *python, *wanted, lock], check=True)  # noqa: S603 - our own words


def _pack_pyyaml(wheel: Path) -> None:
    """Make a wheel of the installed PyYAML without its part in C, which it can do without."""
    (package,) = ENVIRONMENT.glob("lib/*/site-packages/yaml")
    with zipfile.ZipFile(wheel, "w") as archive:
        for module in package.glob("*.py"):
            archive.write(module, f"yaml/{module.name}")
        for name, text in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", "")):
            archive.writestr(f"pyyaml-6.0.4.dist-info/{name}", text)


if __name__ == "__main__":
    main()
