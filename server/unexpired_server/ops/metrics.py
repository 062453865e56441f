"""Prometheus metrics; no label contains what a client sent.

Without prometheus-client, which the extra ``metrics`` installs, nothing is counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from unexpired_server.errors import Failure

IS_INSTALLED = find_spec("prometheus_client") is not None

if IS_INSTALLED:
    from prometheus_client import (
        CONTENT_TYPE_LATEST,
        CollectorRegistry,
        Counter,
        Histogram,
        generate_latest,
    )
    from prometheus_client.multiprocess import MultiProcessCollector

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which several workers share their numbers."""


class Disabled:
    """Stands for a counter and a histogram where prometheus-client is not installed."""

    def labels(self, *_labels: str) -> Disabled:
        """Ignore the labels."""
        return self

    def inc(self) -> None:
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
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry() if IS_INSTALLED else None
        self.requests: Counter | Disabled = self._counter(
            "requests", "Requests answered.", ["method", "route", "status"]
        )
        self.seconds: Histogram | Disabled = self._histogram(
            "request_seconds", "From a request's headers to its response's last byte.", ["route"]
        )
        self.verifications: Counter | Disabled = self._counter(
            "verifications", "Access tokens verified.", ["code"]
        )
        self.refreshes: Counter | Disabled = self._counter(
            "refreshes", "Refreshes decided.", ["outcome"]
        )
        self.sign_ins: Counter | Disabled = self._counter(
            "sign_ins", "Sign-ins decided.", ["outcome"]
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response."""
        known = method if method in METHODS else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def exposition(self) -> tuple[bytes, str] | None:
        """Return all metrics, of every worker, and their media type; None when disabled."""
        if self._registry is None:
            return None
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter | Disabled:
        if self._registry is None:
            return Disabled()
        return Counter(f"unexpired_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, labels: list[str]) -> Histogram | Disabled:
        if self._registry is None:
            return Disabled()
        return Histogram(f"unexpired_{name}", text, labels, registry=self._registry)


@contextmanager
def counted(outcomes: Counter | Disabled) -> Iterator[None]:
    """Count the outcome of a block: the code of its failure, or OK."""
    try:
        yield
    except Failure as failure:
        outcomes.labels(failure.code).inc()
        raise
    outcomes.labels("OK").inc()
