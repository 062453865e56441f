"""The list of files that the page loads: PyScript cannot list a folder, so we keep it."""

import tomllib

from tests.support.paths import ROOT

ELSEWHERE = (
    *("app/unexpired/adapters/requests.py", "app/unexpired/adapters/httpx.py"),
    *("app/unexpired/worker_messages.py", "app/unexpired/browser/worker.py"),
)
"""For other people's libraries and for workers, which this page has none of; nor does it load what
only a program needs."""


def test_the_page_loads_every_module_of_the_library_and_the_views() -> None:
    """pyscript.toml names each module once and nothing else."""
    modules = {*ROOT.glob("app/unexpired/**/*.py"), *ROOT.glob("app/views/**/*.py")}
    modules -= {*ROOT.glob("app/unexpired/desktop/*.py"), *map(ROOT.joinpath, ELSEWHERE)}
    expected = {
        f"./{module.relative_to(ROOT)}": f"./{module.relative_to(ROOT / 'app')}"
        for module in modules
    }
    config = tomllib.loads((ROOT / "pyscript.toml").read_text())
    assert config["files"] == expected
