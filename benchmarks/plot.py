"""Draw a part's picture from its numbers: ``python plot.py NAME``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib import pyplot as plt

RESULTS = Path(__file__).resolve().parent / "results"
OURS, OTHERS = "#2f6f4f", "#9aa5b1"
LABELS = {"rate": "requests per second", "median_ms": "median latency, milliseconds"}


def draw(name: str) -> None:
    """Draw a part's rows as bars, with whiskers from the lowest to the highest round."""
    part = json.loads((RESULTS / f"{name}.json").read_text())
    rows = [row for row in reversed(part["rows"]) if part["chart"] in row["numbers"]]
    values = [row["numbers"][part["chart"]]["values"] for row in rows]
    middles = [median(each) for each in values]
    whiskers = [
        [middle - min(each) for middle, each in zip(middles, values, strict=True)],
        [max(each) - middle for middle, each in zip(middles, values, strict=True)],
    ]
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.34 * len(rows)), layout="constrained")
    named = any("ours" in row["name"] for row in rows)  # Where none is named so, all are ours.
    colours = [OURS if "ours" in row["name"] or not named else OTHERS for row in rows]
    axes.barh([row["name"] for row in rows], middles, xerr=whiskers, color=colours, ecolor="#333")
    axes.set_xlabel(LABELS.get(part["chart"], part["chart"]))
    axes.set_title(part["title"], loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "unexpired"  # The same numbers give the same file.
    draw(sys.argv[1])
