"""Metrics: their names, gauges that are read live, and the numbers of several workers."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import unexpired_server
from tests.server.harness import StartServer, TestServer
from tests.server.test_system import numbers, use
from tests.support.server_process import clean_environment
from unexpired_server.ops.metrics import Metrics

UNITS = ("_seconds", "_bytes", "_total", "_info")
PLAIN_COUNTS = {
    "unexpired_passwords_running", "unexpired_passwords_waiting",
    "unexpired_passwords_waiting_limit", "unexpired_revoked_sessions",
    "unexpired_database_connections", "unexpired_database_connections_limit",
    "unexpired_database_pending", "unexpired_rate_limits_degraded", "unexpired_draining",
    "unexpired_proofs_degraded",
    "process_open_fds", "process_max_fds",
}  # fmt: skip


def exposed(metrics: Metrics) -> str:
    exposition = metrics.exposition()
    assert exposition is not None
    return exposition[0].decode()


async def test_names_follow_prometheus_conventions(node: TestServer) -> None:
    await use(node)
    text = (await node.http.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        if family.name.endswith("_created"):
            continue  # prometheus-client's own, for each counter.
        assert family.documentation
        assert family.name.startswith(("unexpired_", "process_"))
        if family.type == "counter":
            assert all(sample.name.endswith(("_total", "_created")) for sample in family.samples)
        else:
            assert family.name.endswith(UNITS) or family.name in PLAIN_COUNTS


async def test_buckets_reach_from_a_millisecond_to_ten_seconds(node: TestServer) -> None:
    await node.http.get("/healthz")
    name = 'unexpired_request_duration_seconds_bucket{le="%s",route="/healthz"}'
    assert {name % "0.001", name % "10.0"} <= set(await numbers(node))


async def test_the_process_and_the_build_are_described(node: TestServer) -> None:
    counted = await numbers(node)
    python, version = platform.python_version(), unexpired_server.__version__
    assert counted[f'unexpired_build_info{{python="{python}",version="{version}"}}'] == 1
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
        assert counted[f"process_{name}"] > 0


async def test_gauges_are_read_when_somebody_asks(node: TestServer) -> None:
    tokens = await node.sign_in()
    assert (await numbers(node))["unexpired_revoked_sessions"] == 0
    body = {"refreshToken": tokens["refreshToken"]}
    assert (await node.http.post("/api/logout", json=body)).is_success
    counted = await numbers(node)
    assert counted["unexpired_revoked_sessions"] == 1
    assert counted["unexpired_passwords_running"] == 0
    assert counted["unexpired_passwords_waiting_limit"] > 0
    node.clock.advance(60)
    assert (await numbers(node))["unexpired_revocations_age_seconds"] >= 60


async def test_two_services_in_one_process_count_apart(start: StartServer) -> None:
    one, other = await start(), await start()
    await one.me("x")
    await one.sign_in()
    name = 'unexpired_verifications_total{code="INVALID_TOKEN"}'
    assert (await numbers(one))[name] == 1
    assert name not in await numbers(other)


def test_a_gauge_without_a_value_is_absent_and_a_broken_one_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, failure = Metrics(), RuntimeError("a " + "secret value")

    def broken() -> float:
        raise failure

    metrics.gauge("unknown", "Not known yet.", lambda: None)
    metrics.gauge("strange", "No number.", lambda: float("nan"))
    metrics.gauge("broken", "Raises.", broken)
    metrics.gauge("good", "Works.", lambda: 7)
    metrics.gauge("good", "Works.", lambda: 5)
    text = exposed(metrics)
    assert "unexpired_good 12.0" in text
    assert "unexpired_unknown" not in text
    assert "unexpired_strange" not in text
    assert "RuntimeError" in caplog.text
    assert "secret value" not in caplog.text + text


def test_a_purge_is_counted_and_dated() -> None:
    metrics = Metrics()
    assert "unexpired_purge_last_success_timestamp_seconds" not in exposed(metrics)
    metrics.purged(3)
    text = exposed(metrics)
    assert "unexpired_purged_rows_total 3.0" in text
    assert "unexpired_purge_last_success_timestamp_seconds" in text


WORKER = """
import sys
from unexpired_server.ops.metrics import Metrics

services = [Metrics(), Metrics()]
for metrics in 2 * services:
    metrics.sign_ins.labels("OK").inc()
for metrics in services:
    metrics.gauge("waiting", "Waiting.", lambda: 2)
    metrics.gauge("age_seconds", "Age.", lambda: float(sys.argv[1]), across="max")
for _ in sys.stdin:
    print(services[0].exposition()[0].decode(), "end", sep="\\n", flush=True)
"""


class Worker:
    """A process with two services, which ends by a kill."""

    def __init__(self, folder: Path, age: int) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", WORKER, str(age)],
            env={**clean_environment(), "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def metrics(self) -> dict[str, float]:
        """Ask this worker for the metrics of all."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        lines = []
        while (line := self._child.stdout.readline().strip()) != "end":
            assert line or self._child.poll() is None
            lines.append(line.rpartition(" "))
        return {name: float(value) for name, _, value in lines if name and name[0] != "#"}

    def kill(self) -> None:
        self._child.kill()
        self._child.communicate()


def test_workers_count_together_and_a_dead_ones_gauges_end_with_it(tmp_path: Path) -> None:
    one, other = Worker(tmp_path, 3), Worker(tmp_path, 9)
    try:
        one.metrics()
        both = other.metrics()
        assert both['unexpired_sign_ins_total{outcome="OK"}'] == 8
        assert (both["unexpired_waiting"], both["unexpired_age_seconds"]) == (8, 9)
        for pid in (one.pid, other.pid):
            assert both[f'process_resident_memory_bytes{{pid="{pid}"}}'] > 0
        assert any(name.startswith("unexpired_build_info{") for name in both)
        other.kill()
        left = one.metrics()
        assert left['unexpired_sign_ins_total{outcome="OK"}'] == 8
        assert (left["unexpired_waiting"], left["unexpired_age_seconds"]) == (4, 3)
        assert f'process_resident_memory_bytes{{pid="{other.pid}"}}' not in left
    finally:
        one.kill()
        other.kill()
