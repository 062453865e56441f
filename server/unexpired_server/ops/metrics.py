"""What happens, in numbers, for Prometheus; no label ever holds what a client sent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from unexpired_server.errors import Failure

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where several workers keep their numbers, so that each can show those of all."""


class Metrics:
    """The numbers of one application.

    Attributes:
        requests: By method, route and status.
        seconds: How long replies took, by route.
        verifications: Of access tokens, by code; OK when there is none.
        refreshes: By outcome.
        sign_ins: By outcome.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests: Counter = Counter(
            "unexpired_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds: Histogram = Histogram(
            "unexpired_request_seconds",
            "From a request's headers to its reply's last byte.",
            ["route"],
            registry=self._registry,
        )
        self.verifications: Counter = self._outcomes(
            "verifications", "Access tokens verified.", "code"
        )
        self.refreshes: Counter = self._outcomes("refreshes", "Refreshes decided.", "outcome")
        self.sign_ins: Counter = self._outcomes("sign_ins", "Sign-ins decided.", "outcome")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a reply."""
        known = method if method in METHODS else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def shown(self) -> bytes:
        """All numbers in Prometheus' text format, of every worker when there are several."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)

    def _outcomes(self, name: str, what: str, label: str) -> Counter:
        return Counter(f"unexpired_{name}", what, [label], registry=self._registry)


@contextmanager
def counted(outcomes: Counter) -> Iterator[None]:
    """Count what comes of something: the failure's code, or OK."""
    try:
        yield
    except Failure as problem:
        outcomes.labels(problem.code).inc()
        raise
    outcomes.labels("OK").inc()
