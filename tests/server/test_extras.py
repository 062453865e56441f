"""Without an optional dependency, the server works or says in one sentence what to install."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unexpired_server
from tests.support.server_process import clean_environment

PROJECT = Path(unexpired_server.__file__).parent.parent / "pyproject.toml"

START = """
import asyncio, sys
from pathlib import Path

sys.modules.update({{name: None for name in {hidden}}})
from unexpired_server import Settings, SettingsError, create_app

try:
    app = create_app(Settings({settings}))
except SettingsError as exc:
    sys.exit(f"SettingsError: {{exc}}")
"""
ASK = """
import httpx
from unexpired_server.http.routes.system import SystemRoutes

async def ask():
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for path in ("/healthz", "/metrics", "/login", "/"):
                response = await http.get(path)
                print(path, response.status_code, response.text)

asyncio.run(ask())
"""
EXTRAS = {
    "postgres": ("asyncpg", "database_url='postgresql://app@127.0.0.1/unexpired'"),
    "redis": ("redis", "rate_limit_url='redis://127.0.0.1:6379/0'"),
    "page": ("servestatic", "page_dir=Path('page')"),
}
EVERYTHING = ("asyncpg", "redis", "prometheus_client", "servestatic", "brotli")


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<title>A page</title>")
    return tmp_path


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_is_one_sentence_that_names_it(folder: Path, extra: str) -> None:
    module, settings = EXTRAS[extra]
    done = run(folder, START.format(hidden=[module], settings=settings))
    assert done.returncode == 1
    assert done.stderr.startswith("SettingsError: ")
    assert done.stderr.endswith(f"needs {module}: pip install 'unexpired-server[{extra}]'\n")


def test_without_any_extra_the_server_serves_and_has_no_metrics(folder: Path) -> None:
    done = run(folder, START.format(hidden=EVERYTHING, settings="") + ASK)
    assert done.returncode == 0, done.stderr
    answers = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert answers["/healthz"] == '200 {"status":"ok"}'
    for path in ("/metrics", "/"):
        assert answers[path] == '404 {"error":"There is nothing here.","code":"NOT_FOUND"}'
    assert answers["/login"].split()[0] == "303"


def test_every_extra_that_a_sentence_names_is_one_of_the_project() -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    assert {*EXTRAS, "metrics", "all"} == set(extras)
    everything = {line for name, lines in extras.items() if name != "all" for line in lines}
    assert set(extras["all"]) == everything
