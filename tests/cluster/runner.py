"""Plays rows one after the other, on one cluster for as long as it is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.postgres import OUTAGES
from tests.cluster.processes import ClusterError
from tests.cluster.scene import Length, Result, Row, play
from tests.cluster.topology import Cluster, Options, Way, cluster_in, make_template


class Runner:
    """Keeps a healthy cluster, and makes another one when a row has ruined it.

    Args:
        folder: Keeps the data.
        way: How the nodes reach the database.
        length: How long a row takes.
        seed: Of what the clients choose to do.
    """

    def __init__(self, folder: Path, way: Way, length: Length, seed: int) -> None:
        self._folder = folder
        self._way = way
        self._length = length
        self._seed = seed
        self._template = folder / f"template-{way}"
        self._has_template = False
        self._stack = ExitStack()
        self._cluster: Cluster | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    async def play(self, rows: Iterable[Row]) -> AsyncIterator[Result]:
        """Yield what each row came to."""
        for row in rows:
            if lacks := row.lacks():
                yield Result.unplayed(row, self._way, f"skipped: {lacks}", is_fault=False)
                continue
            try:
                cluster = await self._healthy(row.options)
                yield await play(row, cluster, self._length, self._seed)
            except (ClusterError, *OUTAGES) as exc:
                self._discard()
                why = f"{type(exc).__name__}: {exc}"
                yield Result.unplayed(row, self._way, why, is_fault=True)

    async def _healthy(self, options: Options) -> Cluster:
        """Return a cluster in which everything works."""
        cluster = self._cluster
        if cluster is None or cluster.is_damaged or cluster.options != options:
            self._discard()
            cluster = self._stack.enter_context(cluster_in(self._folder, self._way, options))
            if not self._has_template:
                await make_template(self._template)
                self._has_template = True
            await cluster.open(self._template)
            self._cluster = cluster
        await cluster.wait_until_healthy()
        return cluster

    def _discard(self) -> None:
        self._stack.close()
        self._cluster = None
