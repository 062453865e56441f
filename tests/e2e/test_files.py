"""The list of files that the page loads, which PyScript needs: it cannot list a folder."""

import tomllib

from tests.support.library_page import PROVIDER_MODULES
from tests.support.paths import ROOT

UNUSED = (
    *("app/unexpired/adapters/requests.py", "app/unexpired/adapters/httpx.py"),
    *("app/unexpired/worker_messages.py", "app/unexpired/browser/worker.py"),
)
"""Adapters and worker modules; the page uses none of them, and nothing of ``desktop``.

Nor does it use what signs in at a provider: its server does that for it.
"""


def test_the_page_loads_every_module_of_the_library_and_the_views() -> None:
    """pyscript.toml lists each module of the page, and nothing else."""
    modules = {*ROOT.glob("app/unexpired/**/*.py"), *ROOT.glob("app/views/**/*.py")}
    modules -= {*ROOT.glob("app/unexpired/desktop/*.py"), *map(ROOT.joinpath, UNUSED)}
    modules -= set(PROVIDER_MODULES)
    expected = {
        f"./{module.relative_to(ROOT)}": f"./{module.relative_to(ROOT / 'app')}"
        for module in modules
    }
    config = tomllib.loads((ROOT / "pyscript.toml").read_text())
    assert config["files"] == expected
