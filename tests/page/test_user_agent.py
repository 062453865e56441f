"""Device names from ``User-Agent`` headers, without a browser."""

import pytest

from views.devices.user_agent import UNKNOWN, device_name

LIKE_GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {LIKE_GECKO} Chrome/139.0 Safari/537.36",
            "Chrome on Linux",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {LIKE_GECKO} Chrome/139.0 Edg/139.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Mobile Safari/604.1",
            "Safari on iPhone",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 15; SM-S931B) {LIKE_GECKO} SamsungBrowser/28 Chrome/130",
            "Samsung Internet on Android",
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {LIKE_GECKO} Chrome/139.0",
            "Chrome on ChromeOS",
        ),
        ("curl/8.14.1", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
    ],
)
def test_a_device_is_named_by_its_browser_and_system(user_agent: str, name: str) -> None:
    """The most specific token of the header decides, not the first."""
    assert device_name(user_agent) == name


@pytest.mark.parametrize(
    "user_agent", ["", "Mozilla/5.0", "<img src=x onerror=alert(1)>", "\u202eevil/1", "/" * 9000]
)
def test_an_unknown_header_is_not_shown(user_agent: str) -> None:
    """Only known names and a plain product name are shown; anything else is an unknown device."""
    assert device_name(user_agent) == UNKNOWN
