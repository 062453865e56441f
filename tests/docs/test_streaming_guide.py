"""What the guide to streams promises, on both sides."""

from __future__ import annotations

import httpx
import pytest

from tests.docs.hosts import Host, ServeGuide


@pytest.fixture
def host(serve_guide: ServeGuide) -> Host:
    return serve_guide("how-to/streaming.md")


def test_its_client_reads_its_report_and_its_feed(host: Host) -> None:
    """Line by line, with progress, and event by event."""
    names = host.run_client()
    assert (names["header"], names["total"]) == ("order,total", 10 * sum(range(1, 1001)))
    assert names["seen"][-1] == f"{len(names['response'].content)} bytes"
    assert names["prices"] == [101, 102, 103]


def test_its_feed_goes_on_after_the_last_event(host: Host) -> None:
    headers = {"Authorization": f"Bearer {host.sign_in()}", "Last-Event-ID": "41"}
    with httpx.stream("GET", f"{host.url}/api/feed", headers=headers) as response:
        assert next(response.iter_lines()) == "id: 42"
