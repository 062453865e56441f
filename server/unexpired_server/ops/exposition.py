"""What Prometheus reads, of one process or of several workers; needs prometheus-client.

Several workers share their counters and histograms through files. Gauges and the numbers of a
process are not in prometheus-client's files: each worker publishes its gauges into them, and the
worker that is asked reads the numbers of all workers' processes from ``/proc``.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

import unexpired_server  # Only for its version, which is a literal.
from unexpired_server.ops.gauges import LiveGauge

PROC = Path("/proc")


class BuildInfo(Collector):
    """Which version runs, on which Python."""

    def collect(self) -> Iterable[Metric]:
        """Return the constant."""
        facts = {"version": unexpired_server.__version__, "python": platform.python_version()}
        return [InfoMetricFamily("unexpired_build", "The version, and that of Python.", facts)]


class LiveGauges(Collector):
    """The gauges of this process, read at each scrape.

    Args:
        gauges: By name; more may be added later.
    """

    def __init__(self, gauges: Mapping[str, LiveGauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Return those that have a value."""
        for gauge in self._gauges.values():
            if (value := gauge.value()) is not None:
                yield GaugeMetricFamily(gauge.name, gauge.text, value)


class WorkerProcesses(Collector):
    """CPU, memory, files and start of each worker's process, with its id as a label.

    Args:
        pids: The workers that live.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = sorted(pids)

    def collect(self) -> Iterable[Metric]:
        """Return prometheus-client's own metrics of a process, for each of them."""
        families: dict[str, Metric] = {}
        for pid in self._pids:
            for metric in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                family = families.setdefault(
                    metric.name, Metric(metric.name, metric.documentation, metric.type)
                )
                for sample in metric.samples:
                    family.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        return families.values()


def registry_of_one_process(gauges: Mapping[str, LiveGauge]) -> CollectorRegistry:
    """Return a registry for the metrics of the only process."""
    registry = CollectorRegistry()
    registry.register(BuildInfo())
    registry.register(LiveGauges(gauges))
    ProcessCollector(registry=registry)
    return registry


def of_all_workers(folder: Path) -> bytes:
    """Return the metrics of all workers, from the folder that they share."""
    pids = {int(file.stem.rpartition("_")[2]) for file in folder.glob("*_*.db")}
    living = set(filter(_lives, pids))
    for pid in pids - living:
        # Removes a dead worker's gauges. What it has counted stays counted.
        mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(BuildInfo())
    registry.register(WorkerProcesses(living))
    return generate_latest(registry)


def _lives(pid: int) -> bool:
    if not PROC.is_dir():
        return True  # Not Linux: the numbers of a dead worker stay.
    try:
        state = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in {b"Z", b"X"}  # Ended, and its parent has not looked yet.


def publish(gauges: Iterable[LiveGauge]) -> None:
    """Write this worker's gauges into the folder that all workers share."""
    for gauge in gauges:
        if (value := gauge.value()) is not None:
            _published(gauge.name, gauge.text, f"live{gauge.across}").set(value)


@cache
def _published(name: str, text: str, mode: str) -> Gauge:
    make: Callable[..., Gauge] = Gauge
    return make(name, text, multiprocess_mode=mode, registry=None)
