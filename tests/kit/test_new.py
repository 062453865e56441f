"""``unexpired new``: a project that works, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from unexpired_kit import cli, server_package
from unexpired_kit.errors import KitError
from unexpired_kit.new import TEMPLATE, new_project

key_file = pytest.importorskip("unexpired_server.tokens.key_file")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(name: str) -> Result:
    return CliRunner().invoke(cli.main, ["new", name])


def files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_a_project_has_the_files_of_the_template_a_key_and_its_title(place: Path) -> None:
    """The command says what to do next."""
    done = new("my-notes")
    assert done.exit_code == 0, done.output
    assert "cd my-notes\n  unexpired serve --demo" in done.output
    project = place / "my-notes"
    copied = (files(TEMPLATE) - {"gitignore"}) | {".gitignore"}
    assert files(project) == copied | {"data/keys.json"}
    assert "<h1>My notes</h1>" in (project / "index.html").read_text()
    assert (project / "README.md").read_text().startswith("# My notes\n")
    assert not [name for name in copied if "{{" in (project / name).read_text()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_each_project_has_a_key_of_its_own_that_only_its_owner_can_read(place: Path) -> None:
    """It is nowhere else in the project, and git leaves it out."""
    keys = []
    for name in ("one", "two"):
        project = new_project(place, name)
        file = project / "data" / "keys.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        (entry,) = json.loads(file.read_text())["keys"]
        keys.append(entry["secret"])
        others = [path for path in files(project) if path != "data/keys.json"]
        assert not [path for path in others if entry["secret"] in (project / path).read_text()]
        subprocess.run(["git", "init", "-q", str(project)], check=True)  # noqa: S603, S607
        command = ["git", "-C", str(project), "status", "--short", "-uall"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        assert "server.py" in listed.stdout
        assert "data/" not in listed.stdout
    assert keys[0] != keys[1]


def test_a_project_can_be_changed_although_the_tools_are_read_only(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an installed package may be."""
    template = tmp_path_factory.mktemp("installed") / "template"
    shutil.copytree(TEMPLATE, template)
    for path in [*template.rglob("*")]:
        path.chmod(0o555)
    monkeypatch.setattr("unexpired_kit.new.TEMPLATE", template)
    project = new_project(place, "notes")
    assert not [path for path in project.rglob("*") if not path.stat().st_mode & stat.S_IWUSR]


@pytest.mark.parametrize(
    "name",
    [".", "..", "a/b", "../a", "/etc/a", "-a", "_a", "1a", "a b", "é", "a\n", "", "a" * 65, "CON",
     "com1", "<b>", "a.b"],
)  # fmt: skip
def test_any_other_name_is_refused_in_one_sentence(place: Path, name: str) -> None:
    """The command exits with 2 and makes nothing."""
    done = CliRunner().invoke(cli.main, ["new", "--", name])
    assert done.exit_code == 2
    assert done.output.startswith("Error: The name has 1 to 64 letters, digits, - and _")
    assert done.output.count("\n") == 1
    assert not [*place.iterdir()]


def test_an_empty_folder_is_filled_and_any_other_is_left_as_it_is(place: Path) -> None:
    """So is a file, or a link."""
    (place / "empty").mkdir()
    assert new("empty").exit_code == 0
    (place / "file").touch()
    (place / "link").symlink_to(place / "nowhere")
    before = files(place)
    for name, sentence in {
        "empty": "The folder empty is not empty.",
        "file": "There is already a file file.",
        "link": "There is already a file link.",
    }.items():
        done = new(name)
        assert (done.exit_code, done.output) == (2, f"Error: {sentence}\n")
    assert files(place) == before


@pytest.mark.parametrize("exists", [False, True])
def test_what_fails_half_way_leaves_nothing_behind(
    place: Path, monkeypatch: pytest.MonkeyPatch, *, exists: bool
) -> None:
    """Not even where the key is the last thing that cannot be written."""
    if exists:
        (place / "notes").mkdir()

    def create(_path: Path, _algorithm: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(key_file, "create", create)
    done = new("notes")
    assert done.exit_code == 2
    assert done.output == "Error: notes cannot be written: No space left on device.\n"
    assert [path.name for path in place.iterdir()] == (["notes"] if exists else [])
    assert not files(place)


def test_without_the_server_the_command_says_what_to_install(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made."""
    monkeypatch.setattr(server_package, "PACKAGE", "no_such_package")
    with pytest.raises(KitError, match="pip install 'unexpired-kit\\[serve\\]'"):
        new_project(place, "notes")
    assert not [*place.iterdir()]


def test_the_tests_of_a_new_project_pass(place: Path) -> None:
    """As its README has them run: those of its server, and the build of its page."""
    project = new_project(place, "notes")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "pytest", "-q"]
    done = subprocess.run(  # noqa: S603 - Our own words.
        [*command, "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "5 passed" in done.stdout, done.stdout + done.stderr
