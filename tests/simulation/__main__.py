"""Run simulated worlds and print what happened in them."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from functools import partial
from random import Random

from tests.simulation.fault_model import simulate
from tests.simulation.profile import draw, months, office, simple, storm, years
from tests.simulation.world import Report

PROGRESS = 60.0  # s
KINDS = {
    "any": draw,
    "storm": storm,
    "office": office,
    "months": months,
    "years": years,
    "simple": simple,
}
INJECTED = (
    *("requests lost", "responses lost", "duplicates", "hangs", "faults"),
    *("network outages", "server outages"),
    *("tabs killed", "machine sleeps", "clock changes", "clocks that leap and return"),
    *("blocked loops", "stalled locks", "damaged records", "restored databases"),
)


def world_of(seed: int, kind: str = "any") -> tuple[int, Report]:
    """Run the world of one seed; about one in ten has no locks."""
    random = Random(seed)
    profile = KINDS[kind](random)
    return seed, simulate(seed, profile, has_locks=random.random() > 0.1)


def main() -> int:
    """Run the worlds, print what happened, and return 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kind", choices=KINDS, default="any", help="what the worlds are like")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    counts: Counter[str] = Counter()
    days, broken, unjust, shown, started = 0.0, 0, 0, time.monotonic(), time.monotonic()
    with multiprocessing.Pool(asked.jobs, maxtasksperchild=200) as pool:
        worlds = pool.imap_unordered(partial(world_of, kind=asked.kind), seeds)
        for done, (seed, report) in enumerate(worlds, 1):
            counts += report.counts
            days += report.session_days
            broken += len(report.violations)
            unjust += report.unjust
            for violation in report.violations:
                print(f"seed {seed}: {violation}", flush=True)
            if time.monotonic() - shown > PROGRESS:
                shown = time.monotonic()
                print(f"… {done} of {len(seeds)} worlds, {days:,.0f} session-days", flush=True)
    for name, count in sorted(counts.items()):
        print(f"{count:>12,}  {name}")
    seconds = time.monotonic() - started
    print(f"seeds {seeds.start} to {seeds.stop - 1} in {seconds:,.0f} s")
    faults = sum(counts[fault] for fault in INJECTED)
    print(f"{days:,.0f} session-days, {counts['sessions']:,} sessions, {faults:,} faults injected")
    print(f"{broken} violations")
    print(f"{unjust} unjust sign-outs")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
