"""Prometheus metrics; no label contains what a client sent.

Without prometheus-client, which the extra ``metrics`` installs, nothing is counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from unexpired_server.errors import Failure
from unexpired_server.ops.gauges import Across, LiveGauge, Read

IS_INSTALLED = find_spec("prometheus_client") is not None

if IS_INSTALLED:
    from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

    from unexpired_server.ops import exposition

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which several workers share their numbers."""

PUBLISH_INTERVAL = 5.0
"""Seconds after which each of several workers publishes its gauges again."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""In seconds: from a token that was seen before to what a client no longer waits for."""


class Disabled:
    """Stands for a counter and a histogram where prometheus-client is not installed."""

    def labels(self, *_labels: str) -> Disabled:
        """Ignore the labels."""
        return self

    def inc(self, _amount: float = 1) -> None:
        """Count nothing."""

    def observe(self, _value: float) -> None:
        """Observe nothing."""


class Metrics:
    """The metrics of one application.

    Attributes:
        requests: By method, route and status.
        seconds: The duration of requests, by route.
        verifications: Access tokens, by code; OK when the token is valid.
        refreshes: Refreshes, by outcome.
        sign_ins: Sign-ins, by outcome.
        sign_ups: Sign-ups, by outcome.
        events: Audit events, by kind.
    """

    def __init__(self) -> None:
        self._folder = os.environ.get(SHARED_FOLDER) if IS_INSTALLED else None
        self._gauges: dict[str, LiveGauge] = {}
        self._answers: dict[tuple[str, str, int], tuple[Any, Any]] = {}
        self._purged_at: float | None = None
        is_single = IS_INSTALLED and self._folder is None
        self._registry = exposition.registry_of_one_process(self._gauges) if is_single else None
        self.requests: Counter | Disabled = self._counter(
            "requests", "Responses.", "method", "route", "status"
        )
        self.seconds: Histogram | Disabled = self._made(
            "Histogram",
            "request_duration_seconds",
            "From a request's headers to its response's last byte, in seconds.",
            "route",
        )
        self.verifications: Counter | Disabled = self._counter(
            "verifications", "Access tokens verified.", "code"
        )
        self.refreshes: Counter | Disabled = self._counter(
            "refreshes", "Refreshes decided.", "outcome"
        )
        self.sign_ins: Counter | Disabled = self._counter(
            "sign_ins", "Sign-ins decided.", "outcome"
        )
        self.sign_ups: Counter | Disabled = self._counter(
            "sign_ups", "Sign-ups decided.", "outcome"
        )
        self.events: Counter | Disabled = self._counter("events", "Audit events.", "kind")
        self._database_failures = self._counter(
            "database_failures",
            "What the database failed to do, by class of SQLSTATE, or in a word.",
            "sqlstate",
        )
        self._purged_rows = self._counter("purged_rows", "Rows that purges have deleted.")
        self.gauge(
            "purge_last_success_timestamp_seconds",
            "When this node last purged ended sessions, in Unix seconds.",
            lambda: self._purged_at,
            across="max",
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response."""
        known = method if method in METHODS else "other"
        answer = known, route, status
        counters = self._answers.get(answer)
        if counters is None:  # There are as many as in the metrics; to look both up takes 3 µs.
            counters = self._answers[answer] = (
                self.requests.labels(known, route, str(status)),
                self.seconds.labels(route),
            )
        request_counter, duration = counters
        request_counter.inc()
        duration.observe(seconds)

    def database_failed(self, label: str) -> None:
        """Count a failure of the database, by one of a few dozen labels."""
        self._database_failures.labels(label).inc()

    def purged(self, rows: int = 0) -> None:
        """Count a purge that has ended well."""
        self._purged_rows.inc(rows)
        self._purged_at = time.time()

    def gauge(self, name: str, text: str, read: Read, *, across: Across = "sum") -> None:
        """Add a number that is read at each scrape; a second source adds to the first.

        Args:
            name: With its unit, without ``unexpired_``.
            text: What it is.
            read: Returns the number now.
            across: How the numbers of several workers become one.
        """
        make = LiveGauge if self._folder is None else _shared_gauge
        gauge = self._gauges.get(name) or make(f"unexpired_{name}", text, across)
        gauge.sources.append(read)
        self._gauges[name] = gauge

    async def publish(self) -> None:
        """Let the other workers know this worker's gauges; does nothing without workers."""
        if self._folder is not None:
            exposition.publish(self._gauges.values())

    def exposition(self) -> tuple[bytes, str] | None:
        """Return all metrics, of every worker, and their media type; None when disabled."""
        if self._folder is not None:
            exposition.publish(self._gauges.values())
            return exposition.of_all_workers(Path(self._folder)), CONTENT_TYPE_LATEST
        if self._registry is not None:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        return None

    def _counter(self, name: str, text: str, *labels: str) -> Counter | Disabled:
        made: Counter | Disabled = self._made("Counter", name, text, *labels)
        return made

    def _made(self, kind: str, name: str, text: str, *labels: str) -> Any:
        if not IS_INSTALLED:
            return Disabled()
        make = _shared if self._registry is None else partial(_made, self._registry)
        return make(kind, f"unexpired_{name}", text, labels)


def _made(registry: Any, kind: str, name: str, text: str, labels: tuple[str, ...]) -> Any:
    if kind == "Counter":
        return Counter(name, text, labels, registry=registry)
    return Histogram(name, text, labels, registry=registry, buckets=BUCKETS)


# In a worker's file a name has one place, so two services in one process share what has that name:
# each would else overwrite what the other has counted.
_shared: Callable[..., Any] = cache(partial(_made, None))
_shared_gauge: Callable[[str, str, Across], LiveGauge] = cache(LiveGauge)


class counted:  # noqa: N801 - a context manager, which a generator makes three times as slow
    """Counts the outcome of a block: the code of its failure, or OK.

    Args:
        outcomes: By code.
    """

    def __init__(self, outcomes: Counter | Disabled) -> None:
        self._outcomes = outcomes

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        _type: type[BaseException] | None,
        exc: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Count; a fault of the program, or a caller that went away, is no outcome."""
        if exc is None:
            self._outcomes.labels("OK").inc()
        elif isinstance(exc, Failure):
            self._outcomes.labels(exc.code).inc()
