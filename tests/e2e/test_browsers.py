"""The choice of the browser for the tests."""

from pathlib import Path

import pytest

import browsers

MISSING = "/nowhere/browser"


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The commands that the machine has; none until a test adds some."""
    commands: set[str] = set()
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if name in commands else None)
    return commands


def test_playwrights_own_browser_comes_first(system: set[str], tmp_path: Path) -> None:
    """A browser that Playwright downloaded is preferred to the system's."""
    system.add("chromium")
    own = tmp_path / "chromium"
    own.touch()
    choice = browsers.choose("chromium", str(own))
    assert choice
    assert "executable_path" not in choice.launch


@pytest.mark.parametrize(
    ("name", "command", "channel"),
    [("chromium", "chromium", None), ("firefox", "firefox-esr", "moz-firefox")],
)
def test_the_systems_browser_comes_next(
    system: set[str], name: str, command: str, channel: str | None
) -> None:
    """Without Playwright's, the system's browser is used; Firefox over WebDriver BiDi."""
    system.add(command)
    choice = browsers.choose(name, MISSING)
    assert choice
    assert choice.launch["executable_path"] == f"/bin/{command}"
    assert choice.launch.get("channel") == channel


def test_a_headless_shell_is_preferred_to_chromium(system: set[str]) -> None:
    """It is faster, because it draws no window."""
    system.update({"chromium", "chromium-headless-shell"})
    choice = browsers.choose("chromium", MISSING)
    assert choice
    assert choice.launch["executable_path"] == "/bin/chromium-headless-shell"


@pytest.mark.usefixtures("system")
def test_no_browser_is_no_choice() -> None:
    """Where there is none, nothing is chosen."""
    assert browsers.choose("chromium", MISSING) is None
