"""Describes an IP address in words.

The page shows no towns or countries. A geolocation database is large, licensed, soon out of date
and often wrong for mobile networks; a geolocation service would learn our users' addresses.
"""

from __future__ import annotations

from views.ui.i18n import tr

LOCAL_NETWORKS = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
    *("169.254.0.0/16", "fe80::/10"),  # RFC 3927 and RFC 4291: link-local
    "fc00::/7",  # RFC 4193: unique local
)
UNKNOWN = "from an unknown address"


def describe_address(address: str | None) -> str:
    """Return a description of a client's address, such as "from 203.0.113.7"."""
    # Imported here because only the Devices view needs it, and the import is slow.
    from ipaddress import IPv6Address, ip_address, ip_network  # noqa: PLC0415

    try:
        ip = ip_address(address or "")
    except ValueError:
        return tr(UNKNOWN)
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    if ip.is_loopback:
        return tr("on the server's own machine")
    if any(ip in ip_network(network) for network in LOCAL_NETWORKS):
        return tr("from the local network ({})", ip)
    return tr("from {}", ip)
