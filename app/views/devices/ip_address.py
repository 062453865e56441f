"""An address in words that a person understands.

No towns and countries: a database of them is large, licensed, out of date within weeks and often
wrong for the very networks that people use; asking a service would tell strangers who is where.
"""

from views.ui.i18n import tr

LOCAL = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
UNKNOWN = "from an unknown place"


def place_of(address: str | None) -> str:
    """Return words such as "from 203.0.113.7" for the address of a client."""
    # Only who looks at the devices waits for this module.
    from ipaddress import IPv6Address, ip_address, ip_network  # noqa: PLC0415

    try:
        ip = ip_address(address or "")
    except ValueError:
        return tr(UNKNOWN)
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    if ip.is_loopback:
        return tr("on the server's own machine")
    if any(ip in ip_network(network) for network in LOCAL):
        return tr("from the local network ({})", ip)
    return tr("from {}", ip)
