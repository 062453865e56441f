"""``unexpired build``, with a minimal page."""

from __future__ import annotations

import gzip
import json
import secrets
import shutil
from pathlib import Path
from typing import Any

import brotli
import pytest
from click.testing import CliRunner

from unexpired_kit import cli, node
from unexpired_kit.site import CALLBACK, build, checked_api

API = "https://api.example.com"
PAGE = """\
<html data-storage-key="unexpired">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; connect-src 'self'; base-uri 'none'" />
<link rel="icon" href="data:image/svg+xml,x" />
<script src="app/boot.js"></script>
<link rel="stylesheet" href="vendor/pico.css" />
<a href="#/notes">Notes</a>
<script type="module" src="vendor/load_pyodide.mjs"></script>
<script type="module" src="vendor/pyscript/core.js"></script>
<script type="py" src="app/main.py" config="pyscript.toml"></script>
"""
SETTINGS = """\
interpreter = "./vendor/load_pyodide.mjs"
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
        "vendor/load_pyodide.mjs": 'import "./pyodide/pyodide.mjs"',
        "vendor/pyscript/core.js": "core", "app/unused.py": "unused",
        "vendor/pyscript/stdlib.mjs": "sources", "vendor/pyscript/stdlib.mjs.br": "sources",
        f"{CALLBACK}/callback.html": "back", f"{CALLBACK}/callback.js": "hand over",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    return tmp_path / "dist"


@pytest.fixture(autouse=True)
def _no_pyodide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the tools that run in Pyodide: a text as archive, random bytes as snapshot."""

    def pack(_pyodide: Path, modules: Path, archive: Path, *_bare: str) -> None:
        archive.write_text(str(sorted(files(modules).items())))

    def make(pyodide: Path, *_modules: str) -> None:
        (pyodide / "snapshot.gz").write_bytes(gzip.compress(secrets.token_bytes()))

    monkeypatch.setattr(node, "pack_modules", pack)
    monkeypatch.setattr(node, "make_snapshot", make)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def version(dist: Path) -> str:
    (settings,) = dist.glob("assets/*/pyscript.json")
    return settings.parent.name


def runtime(dist: Path) -> str:
    (folder,) = {path.name for path in (dist / "assets").iterdir()} - {version(dist)}
    return folder


def settings(dist: Path) -> Any:
    return json.loads((dist / "assets" / version(dist) / "pyscript.json").read_text())


def test_the_site_contains_only_what_the_page_needs(source: Path, dist: Path) -> None:
    """No caches, no hidden files; everything except the page is in the two versioned folders."""
    build(source, dist, API)
    names = {
        "app/boot.js", "app/main.py", "vendor/load_pyodide.mjs", "vendor/pico.css", "pyscript.json",
        "vendor/pyodide/pyodide.mjs", "vendor/pyodide/app.zip", "vendor/pyodide/snapshot.gz",
        "vendor/pyscript/core.js",
    }  # fmt: skip
    names |= {
        f"{name}.{coding}"
        for name in names
        for coding in ("br", "gz")
        if name.endswith((".js", ".mjs", ".py", ".css", ".json"))
    }
    names.add("vendor/pyodide/snapshot.gz.br")
    of_runtime = ("vendor/pyscript/", "vendor/pyodide/pyodide.")
    shared = {name for name in names if name.startswith(of_runtime)}
    assets = {f"assets/{version(dist)}/{name}" for name in names - shared}
    assets |= {f"assets/{runtime(dist)}/{name}" for name in shared}
    assert files(dist).keys() == assets | {
        *("index.html", "callback.html", "callback.js", "_headers", ".nojekyll")
    }


def test_the_page_loads_its_files_by_relative_paths(source: Path, dist: Path) -> None:
    """They are in the versioned folder; other links are unchanged."""
    build(source, dist, API)
    page, prefix = (dist / "index.html").read_text(), f"assets/{version(dist)}/"
    for name in ("app/boot.js", "vendor/pico.css", "app/main.py", "pyscript.json"):
        assert f'="{prefix}{name}"' in page
    assert 'href="#/notes"' in page
    assert 'href="data:image/svg+xml,x"' in page
    assert settings(dist)["interpreter"] == f"./{prefix}vendor/load_pyodide.mjs"
    assert "files" not in settings(dist), "they are in the archive"


def test_an_api_on_another_origin_is_set_throughout_the_page(source: Path, dist: Path) -> None:
    """In the policy, the base URL and the session's storage key."""
    build(source, dist, API)
    page = (dist / "index.html").read_text()
    assert f"connect-src 'self' {API}; base-uri" in page
    assert f'data-storage-key="unexpired@{API}"' in page
    assert settings(dist)["unexpired"] == {"base_url": API, "login_url": "#/login"}


def test_without_an_api_the_page_calls_its_own_origin(source: Path, dist: Path) -> None:
    """Policy, base URL and storage key are unchanged."""
    build(source, dist, "")
    page = (dist / "index.html").read_text()
    assert "connect-src 'self'; base-uri" in page
    assert 'data-storage-key="unexpired"' in page
    assert settings(dist)["unexpired"]["base_url"] == ""


def test_text_files_are_precompressed(source: Path, dist: Path) -> None:
    """With Brotli and gzip, for hosts that can serve such files."""
    build(source, dist, API)
    (style,) = dist.glob("assets/*/vendor/pico.css")
    assert brotli.decompress(style.with_name("pico.css.br").read_bytes()) == b"pico"
    assert gzip.decompress(style.with_name("pico.css.gz").read_bytes()) == b"pico"


def test_the_snapshot_has_a_form_for_hosts_that_compress(source: Path, dist: Path) -> None:
    """It holds the memory itself and not a gzip file: the loader takes either."""
    build(source, dist, API)
    (snapshot,) = dist.glob("assets/*/vendor/pyodide/snapshot.gz")
    memory = brotli.decompress(snapshot.with_name("snapshot.gz.br").read_bytes())
    assert memory == gzip.decompress(snapshot.read_bytes())


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_form_that_the_runtime_brought_is_kept_if_it_is_right(
    source: Path, dist: Path, *, is_stale: bool
) -> None:
    """To compress the runtime again would take longer than all the rest."""
    content = b"pico " * 100
    (source / "vendor" / "pico.css").write_bytes(content)
    given = brotli.compress(b"older" if is_stale else content, quality=0)
    (source / "vendor" / "pico.css.br").write_bytes(given)
    build(source, dist, API)
    (form,) = dist.glob("assets/*/vendor/pico.css.br")
    assert (form.read_bytes() == given) != is_stale
    assert brotli.decompress(form.read_bytes()) == content


def test_the_same_tree_gives_the_same_bytes(
    source: Path, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the folder, the time and the order of files in the file system."""
    build(source, dist, API)
    shutil.copytree(source, tmp_path / "moved", copy_function=shutil.copyfile)
    forwards = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda *here: reversed(list(forwards(*here))))
    build(tmp_path / "moved", tmp_path / "again", API)
    one, other = files(tmp_path / "again"), files(dist)
    snapshot = f"assets/{version(dist)}/vendor/pyodide/snapshot.gz"
    for form in (snapshot, f"{snapshot}.br"):
        assert one.pop(form) != other.pop(form), "two snapshots always differ"
    assert one == other


def test_a_new_version_of_the_page_leaves_the_runtime_where_it_is(source: Path, dist: Path) -> None:
    """So nobody loads most of the bytes again; a new runtime changes both versions."""
    build(source, dist, API)
    before, kept = version(dist), runtime(dist)
    files_before = {name: content for name, content in files(dist).items() if kept in name}
    (source / "app" / "views" / "notes.py").write_text("NEW = True")
    build(source, dist, API)
    assert version(dist) != before
    assert {name: content for name, content in files(dist).items() if kept in name} == files_before
    before = version(dist)
    with (source / "vendor" / "pyscript" / "core.js").open("a") as file:
        file.write("// newer")
    build(source, dist, API)
    assert runtime(dist) != kept
    assert version(dist) != before


@pytest.mark.parametrize("name", ["app/views/notes.py", "vendor/pico.css", "pyscript.toml"])
def test_a_changed_file_changes_the_version(source: Path, dist: Path, name: str) -> None:
    """So browsers can cache every asset forever."""
    build(source, dist, API)
    before = version(dist)
    with (source / name).open("a") as file:
        file.write("\n[more]\n")
    build(source, dist, API)
    assert version(dist) != before


def test_a_renamed_file_or_another_api_changes_the_version(source: Path, dist: Path) -> None:
    """The version is a hash of names, contents and settings."""
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


@pytest.mark.parametrize(
    "missing", ["app/boot.js", "app/views/notes.py", "vendor/load_pyodide.mjs"]
)
def test_a_failed_build_keeps_the_last_site(source: Path, dist: Path, missing: str) -> None:
    """The error names the missing file."""
    build(source, dist, API)
    before = files(dist)
    (source / missing).unlink()
    with pytest.raises(ValueError, match=missing):
        build(source, dist, API)
    assert files(dist) == before


@pytest.mark.parametrize("lost", [' data-storage-key="unexpired"', "connect-src 'self'; "])
def test_a_page_without_a_place_for_the_api_is_not_built(
    source: Path, dist: Path, lost: str
) -> None:
    """The build fails where the markup has no storage key or no connect-src."""
    (source / "index.html").write_text(PAGE.replace(lost, ""))
    with pytest.raises(ValueError, match="must contain"):
        build(source, dist, API)
    assert not dist.exists()


@pytest.mark.parametrize(
    "api",
    ["", API, "https://api.example.com:8443", "http://localhost:8000", "http://127.0.0.1:8000"],
)
def test_an_exact_origin_is_accepted(api: str) -> None:
    """An https origin, a local one, or none."""
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
def test_any_other_api_is_rejected_with_a_one_line_message(
    api: str, source: Path, dist: Path
) -> None:
    """The command exits with 2 and builds nothing."""
    done = CliRunner().invoke(cli.main, ["build", str(source), "--out", str(dist), f"--api={api}"])
    assert done.exit_code == 2
    assert done.output.startswith("Error: API must be an exact origin such as https://api.exa")
    assert done.output.count("\n") == 1
    assert not dist.exists()
