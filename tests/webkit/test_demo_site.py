"""The demo whose server runs in the browser, in WebKitGTK: in a folder of a static host."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from selenium.webdriver import WebKitGTK

from tests.e2e.test_demo_site import (
    FOLDER,
    RUNS_HERE,
    SIGN_IN_AS,
    THIEF_IS_REFUSED,
    WITHOUT_SHARED_WORKER,
)
from tests.support.built_page import built_demo_site
from tests.support.proxy import HTTPProxy
from tests.support.static_host import static_host
from tests.webkit.test_activity import tries
from tests.webkit.test_start import runs_first
from tests.webkit.window import Window

LIST = "ul[aria-label=Notes]"


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HTTPProxy]:
    """A host with the site in a folder; at an address that no browser has seen."""
    root = tmp_path_factory.mktemp("host")
    site = root / FOLDER.strip("/")
    site.parent.mkdir()
    site.symlink_to(built_demo_site())
    with static_host(root) as address:
        proxy = HTTPProxy(address)
        proxy.start()
        yield proxy
        proxy.stop()


@pytest.fixture
def visitor(webkit: WebKitGTK, host: HTTPProxy) -> Iterator[Window]:
    """A window at the host, which shows no page yet."""
    window = Window(webkit, host.url)
    yield window
    window.close_others()


def signs_in(window: Window) -> Window:
    """Open the site and sign in to the demo."""
    window.opens(FOLDER).shows(SIGN_IN_AS)
    window.presses("Try the demo")
    window.find("h1", "Notes")
    return window


def test_the_demo_is_used_in_two_windows(visitor: Window, host: HTTPProxy) -> None:
    """Notes last, expiries are healed, a thief gets nothing; a sign-out reaches all."""
    text = f"text {uuid4().hex}"
    signs_in(visitor).adds(text)
    visitor.shows(RUNS_HERE)
    visitor.opens(f"{FOLDER}?again").shows(text, LIST)
    visitor.views("Activity")
    tries(visitor, "Burst of 20 requests", "20 times 200; 1 refresh.")
    tries(visitor, "Steal my tokens", *THIEF_IS_REFUSED)
    other = visitor.opens_another(FOLDER)
    other.shows(text, LIST)
    other.views("Devices").presses("Sign out everywhere")
    other.presses("Sign out of all devices")
    for window in (other, visitor):
        window.find("h1", "Sign in")
    visitor.presses("Try the demo")
    visitor.find("h1", "Activity")
    visitor.presses("Revoke my session")
    visitor.find("h1", "Sign in")
    visitor.shows("ended", "#sign-in [role=alert]")
    assert not [call.path for call in host.received if "/api/" in call.path]


def test_without_shared_workers_one_window_serves_all(visitor: Window, host: HTTPProxy) -> None:
    """When it is closed, another one takes over, with the database as it was."""
    host.change(FOLDER, runs_first(WITHOUT_SHARED_WORKER))
    text = f"text {uuid4().hex}"
    visitor.goes(f"{FOLDER}favicon.ico")
    first = signs_in(visitor.opens_another(FOLDER))
    first.adds(text)
    visitor.opens(FOLDER).shows(text, LIST)
    visitor.close_others()
    visitor.adds(f"{text}, later")
    visitor.opens(f"{FOLDER}?again").shows(f"{text}, later", LIST)
