"""The list of files that the page loads: PyScript cannot list a folder, so we keep it."""

import tomllib

from tests.e2e.backend import ROOT


def test_the_page_loads_every_module_of_the_library_and_the_views() -> None:
    """pyscript.toml names each module once, and nothing that is not there."""
    modules = [*ROOT.glob("app/unexpired/**/*.py"), *ROOT.glob("app/views/**/*.py")]
    expected = {
        f"./{module.relative_to(ROOT)}": f"./{module.relative_to(ROOT / 'app')}"
        for module in modules
    }
    config = tomllib.loads((ROOT / "pyscript.toml").read_text())
    assert config["files"] == expected
