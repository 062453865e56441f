"""The client's IP address: one form for each client, and as trusted proxies report it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 as a socket that listens on ``::`` reports it (RFC 4291, section 2.5.5.2)."""

TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 behind a translator (RFC 6052, section 2.1)."""

IPV4_BITS = 32
SCHEMES = frozenset({"http", "https"})

KNOWN = 4096
"""How many addresses are known in their one form: 2 MB at most."""

KNOWN_LENGTH = 64
"""A text that is longer is read again each time; a zone id and a header can have any length."""

SOCKET = "unix:"
"""In the list of trusted proxies: connections to a Unix socket, which have no address."""


def parse_address(text: str) -> Address | None:
    """Return the address in a text, or None when there is none.

    A port, the brackets of IPv6 and a zone id are left out, and IPv4 within IPv6 becomes IPv4, so
    that each client has one address, however it arrives.

    Args:
        text: Such as ``192.0.2.1``, ``192.0.2.1:443``, ``[2001:db8::1]:443``, ``fe80::1%eth0``.
    """
    return _known(text)[0] if len(text) <= KNOWN_LENGTH else _parsed(text)


def address_text(text: str) -> str | None:
    """Return the address in a text in its one form, or None when there is none."""
    if len(text) <= KNOWN_LENGTH:
        return _known(text)[1]
    address = _parsed(text)
    return str(address) if address else None


@lru_cache(KNOWN)  # A request's address is asked for three times, at 4 µs each.
def _known(text: str) -> tuple[Address | None, str | None]:
    address = _parsed(text)
    return address, str(address) if address else None


def _parsed(text: str) -> Address | None:
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return _unmapped(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and (address in MAPPED or address in TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def parse_network(text: str) -> Network:
    """Return the network of a setting; an address is a network of one.

    Raises:
        ValueError: It is neither.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        bits = network.prefixlen - (network.max_prefixlen - IPV4_BITS)
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, bits))
    return network


class ClientAddressMiddleware:
    """Sets a request's client to the client's own address.

    Each proxy appends the address that it received the request from to ``X-Forwarded-For``. Entries
    are believed from the right, as long as the one who wrote them is trusted. An entry that is no
    address ends the chain: the client is then the proxy that wrote it.

    Args:
        app: The application.
        trusted: Addresses and networks of trusted proxies; ``unix:`` for a proxy on a Unix socket.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str] = ()) -> None:
        self._app = app
        self._trusts_sockets = SOCKET in trusted
        self._networks = [parse_network(text) for text in trusted if text != SOCKET]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the client's address and scheme."""
        if scope["type"] in {"http", "websocket"}:
            self._set_client(scope)
        await self._app(scope, receive, send)

    def _set_client(self, scope: Scope) -> None:
        host, port = scope.get("client") or ("", 0)
        peer, text = parse_address(host), address_text(host)
        if self._is_trusted_peer(peer, host):
            headers = Headers(scope=scope)
            _set_scheme(scope, headers.getlist("x-forwarded-proto"))
            client = self._client(peer, headers.getlist("x-forwarded-for"))
            if client != peer:
                text, port = str(client), 0
        if text is not None:
            scope["client"] = (text, port)

    def _is_trusted_peer(self, peer: Address | None, host: str) -> bool:
        return self._is_trusted(peer) if peer else self._trusts_sockets and not host

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._networks)

    def _client(self, peer: Address | None, chains: list[str]) -> Address | None:
        """Return the rightmost address that is no trusted proxy, or else the leftmost one."""
        client = peer
        for entry in reversed(",".join(chains).split(",")):
            address = parse_address(entry)
            if address is None:
                return client
            client = address
            if not self._is_trusted(address):
                return client
        return client


def _set_scheme(scope: Scope, values: list[str]) -> None:
    scheme = values[-1].strip().lower() if values else ""
    if scheme in SCHEMES:
        secure = {"http": "ws", "https": "wss"} if scope["type"] == "websocket" else {}
        scope["scheme"] = secure.get(scheme, scheme)
