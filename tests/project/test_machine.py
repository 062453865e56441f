"""Set-up on machines of all kinds: what it says where something is missing, and what it runs.

The programs that it needs are stand-ins, so nothing is downloaded and all is quick. The folder's
name has whatever a folder's name may have.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

INPUTS = ("Makefile", "requirements.lock", "package.json", "package-lock.json", ".npmrc")
COMMANDS = ("sh", "cat", "cp", "echo", "mkdir", "touch")
GOOD, OLD, NO_VENV = "", "sys.version_info = (3, 10, 13)", "sys.modules['ensurepip'] = None"
# Answers as a Python does, with something changed. What it should install is only written down.
PYTHON = """
case "$*" in
  -c*) exec '{python}' -c "import sys; {change}; exec(sys.argv[2])" "$@" ;;
  '-m venv --clear '*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  '-m pip '*) {pip} ;;
esac
"""


class Machine:
    """A clone, and a PATH with nothing on it but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "my projects" / "Ada's ünexpired"
        self.log = folder / "log"
        self._path = folder / "bin"
        self._path.mkdir()
        (self.clone / "tools").mkdir(parents=True)
        for name in INPUTS:
            shutil.copy(ROOT / name, self.clone)
        shutil.copy(ROOT / "tools" / "check_machine.sh", self.clone / "tools")
        for source in self._sources_of_vendor():
            (self.clone / source).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / source).touch()
        for name in COMMANDS:
            (self._path / name).symlink_to(which(name))

    def has(self, name: str, script: str) -> None:
        """Put a program on the PATH that writes down how it is called."""
        program = self._path / name
        program.write_text(f"#!/bin/sh\necho \"{name} $*\" >>'{self.log}'\n{script}\n")
        program.chmod(0o755)

    def has_python(self, name: str = "python3", change: str = GOOD, pip: str = ":") -> None:
        """Put a Python on the PATH, with something about it changed."""
        self.has(name, PYTHON.format(python=sys.executable, change=change or "pass", pip=pip))

    def has_node(self, version: str = "v20.1.0", npm: str = ":") -> None:
        """Put Node.js and npm on the PATH."""
        self.has("node", f"echo {version}")
        self.has("npm", npm)

    def has_not(self, name: str) -> None:
        """Take a program off the PATH."""
        (self._path / name).unlink()

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make in the clone."""
        return self._run(which("make"), *arguments, **environment)

    def check(self, *arguments: str) -> tuple[int, str]:
        """Return the exit status of the check of the machine, and what it says."""
        done = self._run("sh", "tools/check_machine.sh", *arguments)
        return done.returncode, done.stderr

    def calls(self, name: str) -> list[str]:
        """Return how a program was called, other than to ask what it is."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        asked = (f"{name} -c", f"{name} --version")
        return [
            line for line in lines if line.startswith(f"{name} ") and not line.startswith(asked)
        ]

    def _sources_of_vendor(self) -> list[str]:
        line = re.search(r"^vendor/\.ready: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert line is not None
        return [source for source in line[1].split() if not source.endswith(".ready")]

    def _run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - Our own words.
            command,
            cwd=self.clone,
            env={"PATH": str(self._path), "LC_ALL": "C.UTF-8", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


def which(name: str) -> str:
    """Return where a program is that every machine with make has."""
    path = shutil.which(name)
    assert path is not None
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_that_has_everything_prints_nothing(machine: Machine) -> None:
    machine.has_python()
    machine.has_node("v18.0.0")
    assert machine.check("--node", "python3") == (0, "")


def test_without_node_the_check_is_of_python_only(machine: Machine) -> None:
    machine.has_python()
    assert machine.check("python3") == (0, "")


def test_everything_that_is_missing_is_named(machine: Machine) -> None:
    status, said = machine.check("--node", "python3")
    assert status == 1
    assert said == (
        "Unexpired needs Node.js 18 or later, but node was not found.\n"
        "Unexpired needs npm, which comes with Node.js, but npm was not found.\n"
        "Unexpired needs Python 3.11 or later, but python3 was not found; "
        "add PYTHON=... to the command if it has another name.\n"
    )


def test_a_python_that_is_too_old(machine: Machine) -> None:
    machine.has_python(change=OLD)
    status, said = machine.check("python3")
    assert status == 1
    assert said == (
        "Unexpired needs Python 3.11 or later, but python3 is 3.10.13; "
        "add PYTHON=... to the command if it has another name.\n"
    )


def test_a_python_that_would_do_is_named(machine: Machine) -> None:
    machine.has_python(change=OLD)
    machine.has_python("python3.12")
    assert machine.check("python3")[1] == (
        "Unexpired needs Python 3.11 or later, but python3 is 3.10.13; "
        "python3.12 is here: add PYTHON=python3.12 to the command.\n"
    )


def test_a_python_that_does_not_run(machine: Machine) -> None:
    machine.has("python3", "echo 'pyenv: python3: command not found' >&2; echo >&2; exit 127")
    status, said = machine.check("python3")
    assert status == 1
    assert "but python3 does not run: pyenv: python3: command not found; add" in said


def test_a_python_without_ensurepip(machine: Machine) -> None:
    machine.has_python(change=NO_VENV)
    version = ".".join(map(str, sys.version_info[:3]))
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    status, said = machine.check("python3")
    assert status == 1
    assert said == (
        f"Unexpired needs Python's module ensurepip, but python3 ({version}) has none: "
        f"on Debian, apt install {package}.\n"
    )


def test_a_python_without_ssl(machine: Machine) -> None:
    machine.has_python(change="sys.modules['ssl'] = None")
    status, said = machine.check("python3")
    assert status == 1
    assert said.startswith("Unexpired needs Python's module ssl, but python3 (")


@pytest.mark.parametrize("version", ["v16.20.2", "v0.12.18"])
def test_a_node_that_is_too_old(machine: Machine, version: str) -> None:
    machine.has_python()
    machine.has_node(version)
    assert machine.check("--node", "python3") == (
        1,
        f"Unexpired needs Node.js 18 or later, but node is {version[1:]}.\n",
    )


def test_a_node_that_does_not_run(machine: Machine) -> None:
    machine.has_python()
    machine.has_node()
    machine.has("node", "echo 'libnode.so: cannot open shared object file' >&2; exit 127")
    status, said = machine.check("--node", "python3")
    assert status == 1
    assert said.endswith("but node does not run: libnode.so: cannot open shared object file.\n")


def test_warnings_are_not_taken_for_versions(machine: Machine) -> None:
    machine.has_python(change="sys.stderr.write('Warning: no prefix\\n')")
    machine.has_node()
    machine.has("node", "echo 'Warning: an option is deprecated' >&2; echo v22.1.0")
    assert machine.check("--node", "python3") == (0, "")


@pytest.mark.parametrize("target", ["setup", "run", "test", "site", "example"])
def test_nothing_is_downloaded_before_the_check(machine: Machine, target: str) -> None:
    machine.has_python()
    machine.has_node("v16.20.2")
    done = machine.make(target)
    assert done.returncode != 0
    assert "Unexpired needs Node.js 18 or later, but node is 16.20.2.\n" in done.stderr
    assert not machine.calls("npm")
    assert not (machine.clone / ".venv").exists()


def test_what_needs_no_node_asks_for_none(machine: Machine) -> None:
    machine.has_python()
    assert machine.make(".venv/.ready").returncode == 0


def test_npm_is_quiet_when_it_works(machine: Machine) -> None:
    machine.has_python()
    machine.has_node(npm="mkdir node_modules; echo added 26 packages; echo npm warn deprecated >&2")
    done = machine.make("node_modules/.ready")
    assert (done.returncode, done.stdout, done.stderr) == (0, "npm ci\n", "")


def test_npm_says_everything_when_it_fails(machine: Machine) -> None:
    machine.has_python()
    machine.has_node(npm="echo It was 100% done; echo npm error code E404 >&2; exit 1")
    done = machine.make("node_modules/.ready")
    assert done.returncode != 0
    assert "It was 100% done\nnpm error code E404\n" in done.stderr


def test_pip_installs_where_there_is_no_uv(machine: Machine) -> None:
    machine.has_python()
    assert machine.make(".venv/.ready").returncode == 0
    (pip,) = [call for call in machine.calls("python3") if "-m pip" in call]
    assert pip.endswith("--no-deps --require-hashes -r requirements.lock")


def test_uv_installs_where_there_is_one(machine: Machine) -> None:
    machine.has_python()
    machine.has("uv", ":")
    assert machine.make(".venv/.ready").returncode == 0
    assert machine.calls("uv") == [
        "uv pip sync --quiet --require-hashes --python .venv/bin/python requirements.lock"
    ]
    assert not [call for call in machine.calls("python3") if "-m pip" in call]


def test_pip_takes_over_where_uv_fails(machine: Machine) -> None:
    machine.has_python()
    machine.has("uv", "echo 'error: no such index' >&2; exit 2")
    done = machine.make(".venv/.ready")
    assert done.returncode == 0
    assert "error: no such index" in done.stderr
    assert "Installing requirements.lock with pip\n" in done.stdout


def test_an_environment_is_made_once(machine: Machine) -> None:
    machine.has_python()
    machine.make(".venv/.ready")
    again = machine.make(".venv/.ready")
    assert again.returncode == 0
    assert "up to date" in again.stdout
    assert len(machine.calls("python3")) == 2


def test_an_environment_that_was_not_finished_is_made_again(machine: Machine) -> None:
    machine.has_python(pip="exit 1")
    assert machine.make(".venv/.ready").returncode != 0
    machine.has_python()
    assert machine.make(".venv/.ready").returncode == 0
    assert [call for call in machine.calls("python3") if "-m pip" in call][1:]


def test_an_environment_is_made_again_where_the_clone_has_moved(machine: Machine) -> None:
    machine.has_python()
    machine.make(".venv/.ready")
    machine.clone = machine.clone.rename(machine.clone.with_name("elsewhere"))
    assert "up to date" not in machine.make(".venv/.ready").stdout
    assert "up to date" in machine.make(".venv/.ready").stdout


def test_an_environment_is_made_again_when_its_python_is_gone(machine: Machine) -> None:
    machine.has_python()
    machine.make(".venv/.ready")
    python = machine.clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")
    assert "up to date" not in machine.make(".venv/.ready").stdout


def test_another_python_makes_it_again_and_is_remembered(machine: Machine) -> None:
    machine.has_python()
    machine.make(".venv/.ready")
    machine.has_not("python3")
    machine.has_python("python3.12")
    assert "up to date" not in machine.make(".venv/.ready", "PYTHON=python3.12").stdout
    assert "up to date" in machine.make(".venv/.ready").stdout
    os.utime(machine.clone / "requirements.lock")
    assert machine.make(".venv/.ready").returncode == 0
    assert len([call for call in machine.calls("python3.12") if "-m venv" in call]) == 2


def test_python_may_write_bytecode_whatever_the_machine_sets(machine: Machine) -> None:
    """Else each process of the tests compiles all that it imports."""
    (machine.clone / "show.mk").write_text('show:\n\t@echo "<$$PYTHONDONTWRITEBYTECODE>"\n')
    done = machine.make("-f", "Makefile", "-f", "show.mk", "show", PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout == "<>\n", done.stderr
