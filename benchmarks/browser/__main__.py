"""Run the benchmarks in browsers: ``python -m benchmarks.browser [PART …]``."""

from __future__ import annotations

import subprocess

import click

from benchmarks.browser import binding, calling, loading, webkit
from benchmarks.processes import HERE, PEERS_BIN
from benchmarks.results import write

PARTS = {"loading": loading.measure, "requests": calling.measure, "dpop-page": binding.measure}
BROWSERS = ("chromium", "firefox", webkit.NAME)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS]))
@click.option("--rounds", default=7, help="How many rounds to measure.")
@click.option("--browser", "browsers", multiple=True, type=click.Choice(BROWSERS))
def main(parts: tuple[str, ...], rounds: int, browsers: tuple[str, ...]) -> None:
    """Measure all parts, or some, and write tables, numbers and pictures to results/."""
    for name in parts or PARTS:
        write(PARTS[name](rounds, browsers or BROWSERS))
        subprocess.run([PEERS_BIN / "python", HERE / "plot.py", name], check=True)


if __name__ == "__main__":
    main()
