"""Break a cluster in every way that we know while honest clients use it, and print what they saw.

Everything listens on loopback, has ports and data of its own, and is stopped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.cluster.processes import ClusterError
from tests.cluster.rows import SHORT, all_rows
from tests.cluster.runner import Runner
from tests.cluster.scene import Length, Result, Row
from tests.cluster.table import markdown, remarks, text
from tests.cluster.topology import Way, workspace

WAYS: tuple[Way, ...] = ("direct", "pgbouncer")
OUTAGE_SECONDS = 60.0
SHORT_OUTAGE_SECONDS = 6.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--rows", help="names of rows, separated by commas; all when not given")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--short", action="store_true", help="a few rows with short outages")
    parser.add_argument("--database", choices=(*WAYS, "both"), default="both")
    parser.add_argument("--clients", type=int, default=32, help="how many make the load")
    parser.add_argument("--seconds", type=float, default=35, help="of load after each fault")
    parser.add_argument("--seed", type=int, default=0, help="of what the clients choose to do")
    parser.add_argument("--markdown", type=Path, help="a file for the table")
    return parser.parse_args()


def _chosen(rows: Sequence[Row], asked: argparse.Namespace) -> list[Row]:
    names = asked.rows.split(",") if asked.rows else SHORT if asked.short else None
    known = {row.name: row for row in rows}
    if names is None:
        return list(rows)
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"Unknown rows: {', '.join(unknown)}. There are: {', '.join(known)}.")
    return [known[name] for name in names]


async def _play(rows: Iterable[Row], asked: argparse.Namespace, folder: Path) -> list[Result]:
    outage = SHORT_OUTAGE_SECONDS if asked.short else OUTAGE_SECONDS
    length = Length(asked.clients, outage, asked.seconds)
    ways = WAYS if asked.database == "both" else (asked.database,)
    results: list[Result] = []
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with ExitStack() as stack:
        for way in ways:
            runner = stack.enter_context(Runner(folder, way, length, asked.seed))
            async for result in runner.play(rows):
                results.append(result)
                print(text([result]), *remarks(result), sep="\n", flush=True)
    return results


def main() -> int:
    """Play the rows, print the table, and return 1 when one of them shows a fault."""
    asked = _arguments()
    with workspace() as folder:
        rows = all_rows()
        if asked.list:
            print(*(f"{row.name:14}{row.title}" for row in rows), sep="\n")
            return 0
        try:
            results = asyncio.run(_play(_chosen(rows, asked), asked, folder))
        except ClusterError as exc:
            sys.exit(f"The cluster itself failed: {exc}")
        except (asyncio.CancelledError, KeyboardInterrupt):
            sys.exit("Stopped; nothing of the cluster runs any more.")
    print(f"\n{text(results)}")
    if asked.markdown:
        asked.markdown.write_text(markdown(results))
    return 0 if all(result.is_good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
