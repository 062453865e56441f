"""What `make site` builds, from a page as small as can be."""

import gzip
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import brotli
import pytest

import build_site
from build_site import build, checked_api

API = "https://api.example.com"
PAGE = """\
<html data-storage-key="unexpired">
<meta content="default-src 'none'; connect-src 'self'; base-uri 'none'" />
<link rel="icon" href="data:image/svg+xml,x" />
<script src="app/boot.js"></script>
<link rel="stylesheet" href="vendor/pico.css" />
<a href="#/notes">Notes</a>
<script type="py" src="app/main.py" config="pyscript.toml"></script>
"""
SETTINGS = """\
interpreter = "./app/load_pyodide.mjs"
[files]
"./app/views/notes.py" = "./views/notes.py"
[unexpired]
base_url = ""
login_url = "#/login"
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    for name, content in {
        "index.html": PAGE, "pyscript.toml": SETTINGS, "secret.txt": "s", "app/boot.js": "boot",
        "app/main.py": "main", "app/views/notes.py": "notes", "app/.env": "e",
        "app/__pycache__/main.pyc": "c", "app/views/__pycache__/notes.pyc": "c",
        "vendor/pico.css": "pico", "vendor/pyodide/pyodide.mjs": "mjs", "vendor/.ready": "",
        "app/load_pyodide.mjs": "start", "app/unused.py": "unused",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return tmp_path / "dist"


@pytest.fixture(autouse=True)
def _no_pyodide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the tools that run in Pyodide: an archive of names and bytes, any snapshot."""

    def run(tool: str, pyodide: Path, *arguments: Path | str) -> None:
        if tool == "pack_modules.mjs":
            modules, archive = map(Path, arguments)
            archive.write_text(str(sorted(files(modules).items())))
        else:
            (pyodide / "snapshot.gz").write_bytes(secrets.token_bytes())

    monkeypatch.setattr(build_site, "_run", run)


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, by name."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def version(dist: Path) -> str:
    (folder,) = (dist / "assets").iterdir()
    return folder.name


def settings(dist: Path) -> Any:
    return json.loads((dist / "assets" / version(dist) / "pyscript.json").read_text())


def test_the_site_holds_what_the_page_needs_and_nothing_else(source: Path, dist: Path) -> None:
    """No caches, no hidden files, nothing from beside the page; all but the page is versioned."""
    build(source, dist, API)
    names = {
        "app/boot.js", "app/main.py", "app/load_pyodide.mjs", "vendor/pico.css", "pyscript.json",
        "vendor/pyodide/pyodide.mjs", "vendor/pyodide/app.zip", "vendor/pyodide/snapshot.gz",
    }  # fmt: skip
    names |= {
        f"{name}.{coding}"
        for name in names
        for coding in ("br", "gz")
        if name.endswith((".js", ".mjs", ".py", ".css", ".json"))
    }
    assets = {f"assets/{version(dist)}/{name}" for name in names}
    assert files(dist).keys() == assets | {"index.html", "_headers", ".nojekyll"}


def test_the_page_finds_its_files_from_any_folder(source: Path, dist: Path) -> None:
    """Every path is relative, and leads into the versioned folder; other addresses stay."""
    build(source, dist, API)
    page, prefix = (dist / "index.html").read_text(), f"assets/{version(dist)}/"
    for name in ("app/boot.js", "vendor/pico.css", "app/main.py", "pyscript.json"):
        assert f'="{prefix}{name}"' in page
    assert 'href="#/notes"' in page
    assert 'href="data:image/svg+xml,x"' in page
    assert settings(dist)["interpreter"] == f"./{prefix}app/load_pyodide.mjs"
    assert "files" not in settings(dist), "for they are in the archive"


def test_an_api_elsewhere_is_allowed_called_and_has_a_session_of_its_own(
    source: Path, dist: Path
) -> None:
    """The policy, the base URL and the name that the session is kept under all name the API."""
    build(source, dist, API)
    page = (dist / "index.html").read_text()
    assert f"connect-src 'self' {API}; base-uri" in page
    assert f'data-storage-key="unexpired@{API}"' in page
    assert settings(dist)["unexpired"] == {"base_url": API, "login_url": "#/login"}


def test_without_an_api_the_page_calls_its_own_origin(source: Path, dist: Path) -> None:
    """Policy, base URL and storage are those of the page as it is."""
    build(source, dist, "")
    page = (dist / "index.html").read_text()
    assert "connect-src 'self'; base-uri" in page
    assert 'data-storage-key="unexpired"' in page
    assert settings(dist)["unexpired"]["base_url"] == ""


def test_what_is_sent_often_lies_there_compressed(source: Path, dist: Path) -> None:
    """A server that can send such a form saves bytes; the others never see it."""
    build(source, dist, API)
    (style,) = dist.glob("assets/*/vendor/pico.css")
    assert brotli.decompress(style.with_name("pico.css.br").read_bytes()) == b"pico"
    assert gzip.decompress(style.with_name("pico.css.gz").read_bytes()) == b"pico"


def test_the_same_tree_gives_the_same_bytes(
    source: Path, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Place and time of the build do not show, nor in what order a system lists its files."""
    build(source, dist, API)
    shutil.copytree(source, tmp_path / "moved", copy_function=shutil.copyfile)
    forwards = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda *here: reversed(list(forwards(*here))))
    build(tmp_path / "moved", tmp_path / "again", API)
    one, other = files(tmp_path / "again"), files(dist)
    snapshot = f"assets/{version(dist)}/vendor/pyodide/snapshot.gz"
    assert one.pop(snapshot) != other.pop(snapshot), "of which no two are the same"
    assert one == other


@pytest.mark.parametrize("name", ["app/views/notes.py", "vendor/pico.css", "pyscript.toml"])
def test_a_changed_file_has_a_new_address(source: Path, dist: Path, name: str) -> None:
    """What browsers keep for ever is never asked for in vain, and never out of date."""
    build(source, dist, API)
    before = version(dist)
    with (source / name).open("a") as file:
        file.write("\n[more]\n")
    build(source, dist, API)
    assert version(dist) != before


def test_a_moved_file_and_another_api_have_new_addresses(source: Path, dist: Path) -> None:
    """Names count as much as content, and the settings are among the files."""
    versions = set()
    for api in (API, ""):
        build(source, dist, api)
        versions.add(version(dist))
    (source / "vendor" / "more.css").write_text("")
    build(source, dist, API)
    versions.add(version(dist))
    (source / "vendor" / "more.css").rename(source / "vendor" / "other.css")
    build(source, dist, API)
    assert len(versions | {version(dist)}) == 4


@pytest.mark.parametrize("missing", ["app/boot.js", "app/views/notes.py", "app/load_pyodide.mjs"])
def test_a_page_that_lacks_a_file_does_not_replace_the_last(
    source: Path, dist: Path, missing: str
) -> None:
    """The build says what is missing, and the site that was there stays as it was."""
    build(source, dist, API)
    before = files(dist)
    (source / missing).unlink()
    with pytest.raises(ValueError, match=missing):
        build(source, dist, API)
    assert files(dist) == before


@pytest.mark.parametrize("lost", [' data-storage-key="unexpired"', "connect-src 'self'; "])
def test_a_page_that_cannot_be_told_its_api_is_not_built(
    source: Path, dist: Path, lost: str
) -> None:
    """Markup that was changed past recognition is a mistake to hear of at once."""
    (source / "index.html").write_text(PAGE.replace(lost, ""))
    with pytest.raises(ValueError, match="must contain"):
        build(source, dist, API)
    assert not dist.exists()


@pytest.mark.parametrize(
    "api",
    ["", API, "https://api.example.com:8443", "http://localhost:8000", "http://127.0.0.1:8000"],
)
def test_an_exact_origin_is_taken_as_it_is(api: str) -> None:
    """An https origin, one of this machine, or none."""
    assert checked_api(api) == api


@pytest.mark.parametrize(
    "api",
    [
        f"{API}/", f"{API}/v1", f"{API}?a=b", f"{API}#x", "https://ada@api.example.com",
        "https://ada:pw@api.example.com", "http://api.example.com", "http://127.0.0.1.example.com",
        "HTTPS://api.example.com", "https://API.example.com", "https://api.example.com:443",
        "https://api.example.com:99999", "https://api.example.com:", "https://*.example.com",
        "https://*", "*", "null", "api.example.com", "//api.example.com", "ftp://api.example.com",
        "https://", "https://api.example.com https://evil.example", " https://api.example.com",
        "https://api.example.com;script-src", "https://api.example.com'", 'https://api"x',
        "https://api.example.com\n", "http://[::1]:8000", "https://[2001:db8::1]", "http://127.0.0.2",
        "javascript:alert(1)", "https://bücher.example",
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_sentence(
    api: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with 2, says what it wants, and builds nothing."""
    monkeypatch.setattr("sys.argv", ["build_site.py", f"--api={api}"])
    monkeypatch.setattr(build_site, "build", None)
    with pytest.raises(SystemExit) as exit_info:
        build_site.main()
    assert exit_info.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("API must be an exact origin such as https://api.example.com")
    assert said.count("\n") == 1
