"""Visit every state of each scope, and print how many there are and what is broken in them."""

from __future__ import annotations

import argparse
import sys
import time
from multiprocessing import Pool

from tests.exploration.model import Exploration, Result, Scope

SHORT = {
    "two tabs": Scope(generations=1, flight=2, duplicates=2),
    "tabs that do not see each other": Scope(generations=1, stale=1),
    "a restored database": Scope(generations=1, restores=1),
    "a crash": Scope(generations=1, crashes=1, duplicates=0),
    "a thief": Scope(generations=1, thief=True, duplicates=0),
    "two persons": Scope(generations=1, persons=True, duplicates=0),
}
"""What `make test` explores."""

LONG = {
    "two tabs": Scope(generations=3),
    "two tabs, two messages at once": Scope(generations=2, flight=2, duplicates=2),
    "tabs that do not see each other": Scope(generations=2, stale=2),
    "a restored database": Scope(generations=3, restores=1),
    "a crash": Scope(generations=2, crashes=1),
    "a crash and a restored database": Scope(generations=1, crashes=1, restores=1, stale=1),
    "a thief": Scope(generations=2, thief=True),
    "a thief and a restored database": Scope(generations=1, thief=True, restores=1),
    "two persons": Scope(generations=1, persons=True),
}


def explore(named: tuple[str, Scope]) -> tuple[str, Result, float]:
    """Explore one scope; return its name, what was found, and the seconds that it took."""
    started = time.monotonic()
    result = Exploration(named[1]).run()
    return named[0], result, time.monotonic() - started


def main() -> int:
    """Explore the scopes, and return 1 if an invariant was broken."""
    parser = argparse.ArgumentParser(prog="make explore", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the scopes of make test")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    asked = parser.parse_args()
    scopes = SHORT if asked.short else LONG
    states = broken = 0
    with Pool(asked.jobs, maxtasksperchild=1) as pool:
        for name, result, seconds in pool.imap_unordered(explore, scopes.items()):
            states += result.states
            broken += bool(result.violation)
            print(f"{result.states:>12,} states, {result.depth} deep: {name} ({seconds:,.0f} s)")
            if result.violation:
                print(f"  {result.violation}", *result.story, sep="\n    ", flush=True)
    print(f"{states:,} states")
    print(f"{broken} violations")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
