"""Run the benchmarks: ``python -m benchmarks [PART …]``; README.md describes them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial

import click

from benchmarks import growth, logins, proving, refreshing, verifying
from benchmarks.processes import HERE, PEERS_BIN
from benchmarks.results import Part, write

PARTS = ("verifying", "refreshing", "dpop", "logins", "growth")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--rounds", default=5, help="How many rounds to measure.")
@click.option("--seconds", default=4.0, help="How long each competitor is measured in a round.")
@click.option(
    "--sizes",
    default=growth.SIZES,
    multiple=True,
    type=click.IntRange(min=growth.AT_ONCE),
    help="How many sessions to store, for growth; repeat for several sizes.",
)
def main(parts: tuple[str, ...], rounds: int, seconds: float, sizes: tuple[int, ...]) -> None:
    """Measure all parts, or some, and write tables, numbers and pictures to results/."""
    measures: dict[str, Callable[[int, float], Part]] = {
        "verifying": verifying.measure,
        "refreshing": refreshing.measure,
        "dpop": proving.measure,
        "logins": logins.measure,
        "growth": partial(growth.measure, sizes=sorted(sizes)),
    }
    for name in parts or PARTS:
        write(measures[name](rounds, seconds))
        subprocess.run([PEERS_BIN / "python", HERE / "plot.py", name], check=True)


if __name__ == "__main__":
    main()
