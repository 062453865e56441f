"""Descriptions of IP addresses, without a browser."""

import pytest

from views.devices.ip_address import UNKNOWN, describe_address


@pytest.mark.parametrize(
    ("address", "description"),
    [
        ("203.0.113.7", "from 203.0.113.7"),
        ("100.64.0.1", "from 100.64.0.1"),
        ("2001:DB8::7", "from 2001:db8::7"),
        ("127.0.0.1", "on the server's own machine"),
        ("127.8.9.10", "on the server's own machine"),
        ("::1", "on the server's own machine"),
        ("::ffff:127.0.0.1", "on the server's own machine"),
        ("10.1.2.3", "from the local network (10.1.2.3)"),
        ("172.31.255.255", "from the local network (172.31.255.255)"),
        ("172.32.0.0", "from 172.32.0.0"),
        ("192.168.178.20", "from the local network (192.168.178.20)"),
        ("::ffff:192.168.1.1", "from the local network (192.168.1.1)"),
        ("fd12:3456::1", "from the local network (fd12:3456::1)"),
        ("fe80::1", "from the local network (fe80::1)"),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("<img src=x>", UNKNOWN),
        ("203.0.113.7, 10.0.0.1", UNKNOWN),
    ],
)
def test_an_address_is_described(address: str | None, description: str) -> None:
    """Loopback and local addresses are named, public ones shown, and anything else is unknown."""
    assert describe_address(address) == description
