"""``unexpired serve``: what it builds, and what it says where it cannot serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from unexpired_kit import cli, freshness, runtime, site
from unexpired_kit.freshness import build_if_changed
from unexpired_kit.new import new_project

pytest.importorskip("unexpired_server")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = new_project(tmp_path, "notes")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pages that were built; the builds are empty folders."""
    built: list[Path] = []

    def build(source: Path, target: Path, api: str) -> None:
        assert api == ""
        target.mkdir(exist_ok=True)
        built.append(source)

    monkeypatch.setattr(site, "build", build)
    return built


def refresh(project: Path) -> None:
    build_if_changed(project, project / "dist", lambda: None)


def test_a_page_is_built_once(project: Path, builds: list[Path]) -> None:
    """Neither the server nor its data is part of it."""
    refresh(project)
    for name in ("server.py", "data/keys.json", "tests/test_page.py", "README.md"):
        (project / name).write_text("changed")
    refresh(project)
    assert builds == [project]


@pytest.mark.parametrize(
    "name",
    ["index.html", "pyscript.toml", "app/main.py", "app/style.css", "app/new.txt", "word.py"],
)
def test_a_changed_file_of_the_page_is_built(project: Path, builds: list[Path], name: str) -> None:
    """Also a module that only the settings name."""
    (project / "word.py").touch()
    with (project / "pyscript.toml").open("a") as settings:
        settings.write('[files]\n"./word.py" = "./word.py"\n')
    refresh(project)
    with (project / name).open("a") as file:
        file.write("\n")
    refresh(project)
    assert len(builds) == 2


def test_a_lost_build_is_made_again(project: Path, builds: list[Path]) -> None:
    """So is one that ``unexpired build`` has replaced, which has no mark."""
    refresh(project)
    (project / "dist" / freshness.MARK).unlink()
    refresh(project)
    assert len(builds) == 2


def test_newer_tools_build_again(
    project: Path, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of the library is in the page after the next start."""
    tool = tmp_path / "library" / "tool.py"
    tool.parent.mkdir()
    tool.touch()
    monkeypatch.setattr(runtime, "LIBRARY", tool.parent)
    refresh(project)
    os.utime(tool, (1, 1))
    refresh(project)
    assert len(builds) == 2


def test_a_page_that_cannot_be_built_is_refused(project: Path) -> None:
    """With the sentence of the build."""
    (project / "index.html").unlink()
    done = CliRunner().invoke(cli.main, ["serve"])
    assert done.exit_code == 2
    assert "Error: The page names files that do not exist: index.html." in done.output


def test_a_folder_without_a_server_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says how to make a project."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["serve", "--demo"])
    assert (done.exit_code, done.output) == (
        2,
        f"Error: There is no server.py in {tmp_path}: make a project by unexpired new.\n",
    )


def test_a_server_without_an_application_is_refused(
    project: Path, builds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the function."""
    (project / "plain.py").touch()
    monkeypatch.setattr("unexpired_kit.serving.MODULE", "plain")
    monkeypatch.setattr(sys, "path", [*sys.path])
    done = CliRunner().invoke(cli.main, ["serve"])
    assert (done.exit_code, builds) == (2, [project])
    assert "Error: plain.py needs a function create_app(settings)." in done.output
