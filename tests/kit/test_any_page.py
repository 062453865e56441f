"""``unexpired build`` of a page that knows nothing of this project's."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import unexpired
from unexpired_kit import cli
from unexpired_kit.errors import KitError
from unexpired_kit.markup import ADDED_POLICY
from unexpired_kit.site import build

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Hello</title>
<link rel="stylesheet" href="https://pyscript.net/releases/2025.3.1/core.css">
<link rel="stylesheet" href="hello.css">
<script type="module" src="https://pyscript.net/releases/2025.3.1/core.js"></script>
<script type="py" src="app/main.py" config="pyscript.toml"></script>
"""
SETTINGS = """\
interpreter = "https://cdn.example/pyodide.mjs"
packages = ["unexpired", "./greeting-1.0-py3-none-any.whl"]
[files]
"./app/words.py" = "./words.py"
"./app/names.txt" = "./names.txt"
"""


DOCSTRING = "Unexpired keeps a web app signed in."
LARGEST_LIBRARY = 300_000
"""Bytes; 448,000 with docstrings and with columns, 364,000 with columns."""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page without a policy and without a runtime, of the files that it names."""
    return write_page(tmp_path / "hello")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command builds of the page."""
    folder = tmp_path_factory.mktemp("built")
    page = write_page(folder / "hello")
    done = CliRunner().invoke(cli.main, ["build", str(page), "--out", str(folder / "dist")])
    assert done.exit_code == 0, done.output
    return folder / "dist"


def write_page(folder: Path) -> Path:
    """Write the page's files into a new folder, and return the folder."""
    (folder / "app").mkdir(parents=True)
    for name, text in {
        "index.html": PAGE, "pyscript.toml": SETTINGS, "hello.css": "p { color: red }",
        "app/main.py": "import unexpired, words, greeting", "app/names.txt": "ada",
        "app/words.py": "'''Greet.'''\nHI = 'hi'", "secret.txt": "secret",
    }.items():  # fmt: skip
        (folder / name).write_text(text)
    with zipfile.ZipFile(folder / "greeting-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("greeting.py", "HELLO = 'hello'")
    return folder


def changed(page: Path, name: str, old: str, new: str) -> None:
    """Change a file of the page, which must contain the old text."""
    text = (page / name).read_text()
    assert old in text
    (page / name).write_text(text.replace(old, new))


def test_a_page_gets_the_runtime_its_packages_and_a_policy(dist: Path) -> None:
    """Python finds the library, the page's modules and its wheel in the built archives."""
    (settings_file,) = dist.glob("assets/*/pyscript.json")
    assets = settings_file.parent
    html = (dist / "index.html").read_text()
    assert "https://" not in html
    assert ADDED_POLICY in html
    (core,) = dist.glob("assets/*/vendor/pyscript/core.js")
    assert core.relative_to(dist).as_posix() in html
    assert assets not in core.parents
    for name in ("vendor/load_pyodide.mjs", "hello.css", "app/main.py"):
        assert f'"assets/{assets.name}/{name}"' in html
        assert (assets / name).is_file()
    settings = json.loads(settings_file.read_text())
    assert settings["interpreter"].endswith("/vendor/load_pyodide.mjs")
    assert settings["files"] == {"./app/names.txt": "./names.txt"}
    assert "packages" not in settings
    assert not list(dist.rglob("secret.txt"))
    pyodide = assets / "vendor" / "pyodide"
    archives = json.loads((pyodide / "archives.json").read_text())
    names = {Path(archive).name for archive in archives}
    assert {"app.zip", "greeting-1.0-py3-none-any.whl"} <= names
    with zipfile.ZipFile(pyodide / "app.zip") as archive:
        packed = archive.namelist()
    assert {"words.pyc", "unexpired/__init__.pyc", "unexpired/browser/fetch.pyc"} <= {*packed}
    assert not [name for name in packed if "desktop" in name or "requests" in name]


def test_the_library_moves_without_docstrings_and_columns(dist: Path) -> None:
    """A page reads neither; its own modules keep their docstrings, and all have their lines."""
    (archive,) = dist.glob("assets/*/vendor/pyodide/app.zip")
    assert archive.stat().st_size < LARGEST_LIBRARY
    with zipfile.ZipFile(archive) as packed:
        library, own = packed.read("unexpired/__init__.pyc"), packed.read("words.pyc")
    assert DOCSTRING.encode() in Path(str(unexpired.__file__)).read_bytes()
    assert DOCSTRING.encode() not in library
    assert b"Greet." in own


PRELOAD = "[unexpired_build]\npreload = true\n[files]"
FINGERPRINT = "an unusual greeting"


def snapshot(dist: Path) -> bytes:
    """The memory that a built page starts with, as far as it is stored."""
    (packed,) = dist.glob("assets/*/vendor/pyodide/snapshot.gz")
    return gzip.decompress(packed.read_bytes())


def test_modules_are_imported_by_the_build_only_if_the_page_says_so(
    page: Path, tmp_path: Path
) -> None:
    """With preload the memory has what the page's script imports, browser's objects included."""
    changed(page, "app/words.py", "HI = 'hi'", f"from js import document\nHI = '{FINGERPRINT}'")
    build(page, tmp_path / "dist", "")
    assert FINGERPRINT.encode() not in snapshot(tmp_path / "dist")
    changed(page, "pyscript.toml", "[files]", PRELOAD)
    build(page, tmp_path / "dist", "")
    assert FINGERPRINT.encode() in snapshot(tmp_path / "dist")
    (settings,) = (tmp_path / "dist").glob("assets/*/pyscript.json")
    assert "unexpired_build" not in json.loads(settings.read_text())


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("app/words.py", ("HI = 'hi'", "from js import scrollX"), "'scrollX' from 'js'"),
        ("app/words.py", ("HI = 'hi'", "import missing"), "No module named 'missing'"),
        ("app/main.py", ("import unexpired", "import import"), "main.py cannot be parsed, line 1"),
        ("pyscript.toml", ("preload", "perload"), "may have preload = true, and nothing else"),
        ("pyscript.toml", ("true", '"yes"'), "may have preload = true, and nothing else"),
    ],
)
def test_what_cannot_be_preloaded_is_refused_by_name(
    page: Path, tmp_path: Path, name: str, change: tuple[str, str], sentence: str
) -> None:
    """A module that needs the browser at its import, or another, is not left out in silence."""
    changed(page, "pyscript.toml", "[files]", PRELOAD)
    changed(page, name, *change)
    with pytest.raises(KitError, match=sentence):
        build(page, tmp_path / "dist", "")
    assert not (tmp_path / "dist").exists()


REFUSED = [
    ('"unexpired"', '"numpy"', "numpy is not a file"),
    ("./greeting-1.0-py3-none-any.whl", "https://a.example/a-1.0-py3-none-any.whl", "not a file"),
    ("py3-none-any", "cp314-cp314-linux_x86_64", "not pure Python"),
    ("./greeting", "./missing", "do not exist: ./missing"),
    ('"./app/words.py"', '"https://a.example/words.py"', "unpacks or downloads"),
    ('"./words.py"', '"./*"', "unpacks or downloads"),
    ("packages =", 'type = "mpy"\npackages =', "type, which a build does not support"),
    ("packages =", "packages = [] =", "pyscript.toml cannot be read"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), REFUSED)
def test_settings_that_cannot_be_built_are_refused_by_name(
    page: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    """Nothing is left out in silence, and nothing is built."""
    changed(page, "pyscript.toml", old, new)
    with pytest.raises(KitError, match=sentence):
        build(page, tmp_path / "dist", "")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('type="py" src', 'type="py" worker src', "does not support workers and MicroPython"),
        ('type="py"', 'type="mpy"', "does not support workers and MicroPython"),
        ('config="pyscript.toml"', "config='{}'", "must name its settings"),
        ("https://pyscript.net/releases/2025.3.1/core.js", "core.js", "must load PyScript from"),
        ('<meta charset="utf-8">', "", "needs <meta charset"),
    ],
)
def test_markup_that_cannot_be_built_is_refused_by_name(
    page: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    """The sentence says what the page has, or lacks."""
    changed(page, "index.html", old, new)
    with pytest.raises(KitError, match=sentence):
        build(page, tmp_path / "dist", "")
