"""Where an optional library is missing, one sentence says how to install it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import unexpired

FEATURES = {
    "on_desktop": "Client.on_desktop(base_url='https://api.example')",
    "requests_auth": "client.requests_auth()",
    "httpx_auth": "client.httpx_auth()",
    "httpx_transport": "AsyncClient(None).httpx_transport()",
}


def run(program: str, *missing: str) -> subprocess.CompletedProcess[str]:
    """Run a program with a client where these libraries are not installed."""
    hidden = "".join(f"sys.modules[{name!r}] = None\n" for name in missing)
    start = (
        f"import sys\n{hidden}from unexpired import AsyncClient, Client\nclient = Client(None)\n"
    )
    return subprocess.run(  # noqa: S603 - Our own words.
        [sys.executable, "-c", start + program],
        cwd=Path(unexpired.__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("feature", "missing", "commands"),
    [
        ("on_desktop", ["platformdirs"], ["desktop"]),
        ("on_desktop", ["filelock"], ["desktop"]),
        ("on_desktop", ["keyring"], ["desktop"]),
        ("requests_auth", ["requests"], ["requests"]),
        ("httpx_auth", ["httpx", "httpx2"], ["httpx", "httpx2"]),
        ("httpx_transport", ["httpx", "httpx2"], ["httpx", "httpx2"]),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    feature: str, missing: list[str], commands: list[str]
) -> None:
    """The error names the feature that was called, and comes from that call only."""
    error = run(FEATURES[feature], *missing).stderr.splitlines()[-1]
    assert error.startswith("ModuleNotFoundError: ")
    assert f"{feature} " in error
    assert f" needs {missing[-1]}, which is not installed: " in error
    assert all(f"pip install 'unexpired[{extra}]'" in error for extra in commands)


@pytest.mark.parametrize("name", ["AsyncClient.in_browser()", "Client.in_browser()"])
def test_a_program_that_asks_for_a_browser_learns_what_to_use(name: str) -> None:
    error = run(name).stderr.splitlines()[-1]
    assert error.startswith("ModuleNotFoundError: in_browser() needs a web page")
    assert "on_desktop()" in error


def test_a_page_that_asks_for_the_desktop_learns_what_to_use() -> None:
    page = "sys.platform = 'emscripten'\n"
    error = run(page + FEATURES["on_desktop"], "platformdirs").stderr.splitlines()[-1]
    assert error.startswith("ModuleNotFoundError: on_desktop() needs a program")
    assert "in_browser()" in error


@pytest.mark.parametrize(("installed", "missing"), [("httpx", "httpx2"), ("httpx2", "httpx")])
def test_either_httpx_is_enough(installed: str, missing: str) -> None:
    """What is made for both libraries is accepted by the one that is installed."""
    done = run(
        f"import {installed} as library\n"
        "awaits = AsyncClient(None)\n"
        "library.Client(auth=client.httpx_auth()).close()\n"
        "library.AsyncClient(auth=awaits.httpx_auth(), transport=awaits.httpx_transport())\n",
        missing,
    )
    assert done.returncode == 0, done.stderr


def test_an_alias_of_one_httpx_for_the_other_is_no_obstacle() -> None:
    """httpx2 can take the name of httpx; its classes are then the only ones."""
    done = run(
        "import httpx2\n"
        "httpx2.alias_httpx()\n"
        "import httpx\n"
        "httpx.Client(auth=client.httpx_auth()).close()\n"
    )
    assert done.returncode == 0, done.stderr
