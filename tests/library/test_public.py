"""The public API: its names, and what a page needs from it."""

from __future__ import annotations

import ast
import importlib.util
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest

import unexpired
from tests.library.test_async_client import Page
from tests.support.clock import FakeClock
from unexpired import AsyncClient, Client, Headers, Response, Unreachable, backoff
from unexpired import parse_retry_after as seconds_to_wait

LIBRARY = Path(unexpired.__file__).parent
ROOT = LIBRARY.parents[1]


def test_all_names_every_public_member_and_no_other() -> None:
    members = {
        name
        for name, value in vars(unexpired).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert sorted(members - {"annotations"}) == unexpired.__all__ == sorted(unexpired.__all__)


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert unexpired.__version__ == project["version"]


def test_the_core_reads_no_clock_and_draws_no_random_numbers() -> None:
    banned = {"time", "random", "secrets", "asyncio", "datetime", "js", "pyodide"}
    for module in ("policy", "backoff", "session", "session_record"):
        tree = ast.parse((LIBRARY / f"{module}.py").read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not names & banned, module


def exported(module: str) -> list[str]:
    """Return the ``__all__`` of a module that only a page can import."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text()).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=names):
                return list(ast.literal_eval(names))
    raise AssertionError(module)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("browser", ["FetchTransport", "connect", "connect_sync", "open_lock", "share_session"]),
        (
            "desktop",
            [
                *("FileStore", "KeyringStore", "ProcessLock", "SyncProcessLock"),
                *("connect", "connect_sync"),
            ],
        ),
    ],
)
def test_a_folder_names_what_it_offers(module: str, names: list[str]) -> None:
    assert exported(f"unexpired.{module}") == names


@pytest.mark.parametrize("kind", [AsyncClient, Client])
def test_in_process_is_a_deprecated_name_of_on_desktop(
    kind: type[AsyncClient | Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(kind, "on_desktop", lambda **options: given.append(options))
    with pytest.warns(DeprecationWarning, match=r"on_desktop\(\)") as warned:
        kind.in_process(base_url="https://api.example")
    assert given == [{"base_url": "https://api.example"}]
    assert warned[0].filename == __file__


# -- What a page shows -----------------------------------------------------------------------------


@pytest.fixture
def page() -> Page:
    return Page()


def life(page: Page) -> tuple[float | None, float | None]:
    return page.client.lifetime, page.client.expires_in


def wait(page: Page) -> float | None:
    return page.client.retry_after


async def fail_to_refresh(page: Page, response: Response) -> None:
    page.server.responses["/api/refresh"] = lambda _: response
    with pytest.raises(Unreachable):
        await page.client.refresh()


async def test_a_token_tells_how_long_it_lives_in_total(page: Page) -> None:
    assert life(page) == (None, None)
    await page.client.sign_in("ada", "pw")
    page.clock.advance(100)
    assert life(page) == (900, 800)
    await page.client.sign_out()
    assert life(page) == (None, None)


async def test_the_servers_retry_after_counts_down_to_none(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    assert wait(page) is None
    await fail_to_refresh(page, Response(503, Headers({"retry-after": "25"})))
    assert wait(page) == 25
    page.clock.advance(20)
    page.client.wake(resume=True)  # It ends our own back-off, not the server's wait.
    assert wait(page) == 5
    page.clock.advance(5)
    assert wait(page) is None


async def test_a_failure_without_retry_after_asks_for_no_wait(page: Page) -> None:
    await page.client.sign_in("ada", "pw")
    await fail_to_refresh(page, Response(503))
    assert wait(page) is None


def test_backoff_and_retry_after_serve_a_pages_own_requests() -> None:
    clock = FakeClock()
    assert (backoff(1, 1.0), backoff(3, 0.5), backoff(1, 0.0)) == (1, 2, 0.1)
    busy = Response(429, Headers({"retry-after": "7"}))
    assert seconds_to_wait(busy, clock.now()) == 7
    assert seconds_to_wait(Response(429), clock.now()) is None
