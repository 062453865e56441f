"""Build a JupyterLite site that loads nothing from another host: build_jupyterlite.py TARGET."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOSTS = Path(__file__).resolve().parent
ROOT = HOSTS.parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from build_vendor import lock_entry  # noqa: E402
from tests.e2e.hosts.pyodide_folder import PYODIDE, copy_pyodide  # noqa: E402

JUPYTER = ROOT / "build" / "hosts-env" / "bin" / "jupyter"
LEAN = ("--no-sourcemaps", "--no-unused-shared-packages", "--no-libarchive", "--apps", "repl")


def main() -> None:
    """Build the site into the folder that the command line names."""
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder))
        command = [JUPYTER, "lite", "build", "--lite-dir", folder, "--output-dir", target]
        subprocess.run([*map(str, command), *LEAN], check=True, cwd=folder)  # noqa: S603 - our own words


def _prepare(folder: Path) -> None:
    pyodide = folder / "static" / "pyodide"  # Where JupyterLite looks for a Pyodide of its own.
    copy_pyodide(PYODIDE, pyodide)
    _download(pyodide)
    names = [*add_to_lock(pyodide), "pyodide-http", "unexpired"]
    (folder / "jupyter-lite.json").write_text(json.dumps(_settings(names)))


def _download(target: Path) -> None:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    options = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", str(target))
    wanted = ("--python-version", "3.14", "--requirement", str(HOSTS / "kernel-wheels.lock"))
    subprocess.run([*pip, *options, *wanted], check=True)  # noqa: S603 - our own words


def add_to_lock(pyodide: Path, needs: str = "") -> list[str]:
    """List a folder's wheels in its lock file; return their names.

    Args:
        pyodide: The folder.
        needs: The name of a package that needs all the others.
    """
    lock = json.loads((pyodide / "pyodide-lock.json").read_text())
    ours = [lock_entry(wheel) for wheel in sorted(pyodide.glob("*.whl"))]
    known = {str(entry["name"]): lock["packages"].get(str(entry["name"]), {}) for entry in ours}
    for entry in ours:
        theirs = known[str(entry["name"])]
        lock["packages"][str(entry["name"])] = {
            **entry,
            "imports": theirs.get("imports", entry["imports"]),
            "depends": theirs.get("depends", []),
        }
    if needs:
        lock["packages"][needs]["depends"] = [name for name in known if name != needs]
    (pyodide / "pyodide-lock.json").write_text(json.dumps(lock))
    return list(known)


def _settings(names: list[str]) -> dict[str, object]:
    kernel = {"disablePyPIFallback": True, "loadPyodideOptions": {"packages": names}}
    settings = {"@jupyterlite/pyodide-kernel-extension:kernel": kernel}
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {"litePluginSettings": settings},
    }


if __name__ == "__main__":
    main()
