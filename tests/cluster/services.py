"""The programs around the nodes: HAProxy in front of them, PgBouncer and Redis behind them."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.postgres import DATABASE, OWNER
from tests.cluster.processes import (
    LOOPBACK,
    Child,
    Children,
    as_account,
    free_port,
    give_to_account,
    program,
)

UNAVAILABLE = '{"error":"The service is not available.","code":"UNAVAILABLE"}'

HAPROXY = """
global
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 15s
  timeout queue 5s
  timeout check 1s
  timeout http-request 10s
  timeout http-keep-alive 60s
  retries 3
  # Only what no node has seen is sent again, so a request takes effect once.
  retry-on conn-failure
  option redispatch 1
  option forwardfor
  http-error status 503 content-type application/json string '{unavailable}' hdr Retry-After 1
frontend clients
  bind {address}:{port}
{used}
  http-request return status 404 if {{ path_beg /proxy/ }}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect status 200
  default-server check inter 500ms rise 2 fall 2
{servers}
"""

USED = "  http-request return status 200 if {{ path /proxy/{name} }} {{ srv_is_up(nodes/{name}) }}"
"""Whether the proxy sends requests to a node."""

PGBOUNCER = """
[databases]
{database} = host={address} port={primary} dbname={database} user={owner}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 500
default_pool_size = 20
server_login_retry = 1
server_connect_timeout = 3
query_wait_timeout = 5
ignore_startup_parameters = extra_float_digits
"""


class HAProxy:
    """One address for all nodes; it leaves out those that say that they are not ready.

    Args:
        folder: Keeps its configuration and its log.
        children: Starts and finally stops it.
    """

    def __init__(self, folder: Path, children: Children) -> None:
        self.port = free_port()
        self._folder = folder
        self._children = children

    def start(self, nodes: Iterable[tuple[str, int]]) -> None:
        """Start in front of nodes, by name and port."""
        nodes = list(nodes)
        text = HAPROXY.format(
            unavailable=UNAVAILABLE,
            address=LOOPBACK,
            port=self.port,
            used="\n".join(USED.format(name=name) for name, _ in nodes),
            servers="\n".join(f"  server {name} {LOOPBACK}:{port}" for name, port in nodes),
        )
        file = self._folder / "haproxy.cfg"
        file.write_text(text)
        command = (program("haproxy"), "-db", "-f", str(file))
        self._children.start(command, self._folder / "haproxy.log")


class PgBouncer:
    """A pool of connections in transaction mode, in front of whichever server is the primary.

    Args:
        folder: Keeps its configuration and its log.
        children: Starts and finally stops it.
    """

    def __init__(self, folder: Path, children: Children) -> None:
        self.port = free_port()
        self._file = folder / "pgbouncer.ini"
        self._children = children
        self._child: Child | None = None

    def lead_to(self, primary: int) -> None:
        """Lead to the server on a port, from the start or from now on."""
        self._file.write_text(
            PGBOUNCER.format(
                database=DATABASE, owner=OWNER, address=LOOPBACK, port=self.port, primary=primary
            )
        )
        give_to_account(self._file)
        if self._child is None or self.has_ended:
            self.start()
        else:
            self._child.send(signal.SIGHUP)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself; PgBouncer 1.18 does, after some outages."""
        return self._child is not None and not self._child.is_running

    def start(self) -> None:
        """Start, also again after it has ended."""
        command = as_account((program("pgbouncer"), str(self._file)))
        self._child = self._children.start(command, self._file.parent / "pgbouncer.log")


class Redis:
    """A Redis of the cluster's own, which stores nothing.

    Args:
        folder: Keeps its log.
        children: Starts and finally stops it.
    """

    def __init__(self, folder: Path, children: Children) -> None:
        self.port = free_port()
        self._folder = folder
        self._children = children

    @property
    def url(self) -> str:
        """Its address, for the nodes."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start, also again after it was killed."""
        options = ("--bind", LOOPBACK, "--port", str(self.port), "--save", "", "--appendonly", "no")
        command = (program("redis-server"), *options, "--dir", str(self._folder))
        self.child = self._children.start(command, self._folder / "redis.log")
