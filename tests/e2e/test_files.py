"""The list of files that the page loads: PyScript cannot list a folder, so we keep it."""

import tomllib

from tests.e2e.backend import ROOT

ELSEWHERE = (
    *("app/unexpired/adapters/requests.py", "app/unexpired/adapters/httpx.py"),
    *("app/unexpired/relay.py", "app/unexpired/browser/worker.py"),
)
"""For other people's libraries and for workers, which this page has none of; nor does it load what
only a program needs."""


def test_the_page_loads_every_module_of_the_library_and_the_views() -> None:
    """pyscript.toml names each module once, the server's rules for secrets, and nothing else."""
    modules = {*ROOT.glob("app/unexpired/**/*.py"), *ROOT.glob("app/views/**/*.py")}
    modules -= {*ROOT.glob("app/unexpired/process/*.py"), *map(ROOT.joinpath, ELSEWHERE)}
    expected = {
        f"./{module.relative_to(ROOT)}": f"./{module.relative_to(ROOT / 'app')}"
        for module in modules
    }
    expected["./vendor/weakness.py"] = "./server/weakness.py"
    config = tomllib.loads((ROOT / "pyscript.toml").read_text())
    assert config["files"] == expected


def test_the_page_judges_secrets_by_the_rules_of_the_server() -> None:
    """The copy that the page runs is the server's file (`tools/build_vendor.py` renews it)."""
    copied = (ROOT / "vendor" / "weakness.py").read_bytes()
    assert copied == (ROOT / "server" / "weakness.py").read_bytes()
