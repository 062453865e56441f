"""The whole cluster: PostgreSQL with two replicas, PgBouncer, Redis, two nodes, and HAProxy."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from argon2 import PasswordHasher

from tests.cluster.connections import Failed, ask_once
from tests.cluster.nodes import Node, command
from tests.cluster.postgres import DATABASE, OWNER, SUPERUSER, Postgres
from tests.cluster.processes import LOOPBACK, Children, program, wait_until
from tests.cluster.services import HAProxy, PgBouncer, Redis
from tests.support.paths import ROOT

Way = Literal["direct", "pgbouncer"]
"""How nodes reach the database: by the addresses of all its servers, or through PgBouncer."""

PASSWORD = "correct horse battery"
USERS = 20
LEAVERS = 40
"""Further users, whose password an operator changes or whom one disables."""

ACCESS_SECONDS = 30
LEEWAY_SECONDS = 2
SETTINGS = {
    "access_ttl": str(ACCESS_SECONDS),
    "leeway": str(LEEWAY_SECONDS),
    "trusted_proxies": LOOPBACK,
    "keep_alive": "75",
    "drain_seconds": "2",
}
"""Short lives, so that a row sees many refreshes and expiries."""

SMALL_DISK = "64m"
SYNCHRONOUS = "synchronous_standby_names=synchronous"


@dataclass(frozen=True)
class Options:
    """What a row wants to be different.

    Attributes:
        has_key_file: Whether keys are in a file that the nodes share, and not a secret.
        has_small_disk: Whether the primary's data are on a small disk of their own.
    """

    has_key_file: bool = False
    has_small_disk: bool = False


def user_names() -> list[str]:
    """Return the names of those whose clients make the load."""
    return [f"user{number:02}" for number in range(USERS)]


def leaver_names() -> list[str]:
    """Return the names of those whose sessions an operator ends."""
    return [f"leaver{number:02}" for number in range(LEAVERS)]


@contextmanager
def workspace() -> Iterator[Path]:
    """Make a folder that the database's account can reach into; remove it with all its data."""
    folder = Path(tempfile.mkdtemp(prefix="unexpired-cluster-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def make_template(folder: Path) -> None:
    """Make a database with tables and users, which is copied for each cluster.

    Args:
        folder: Takes the data of the server, which is stopped again.
    """
    with Children() as children:
        server = Postgres("template", folder, children)
        await server.initialise()
        await server.start()
        await server.rows(f"CREATE ROLE {OWNER} LOGIN", database=SUPERUSER)
        await server.rows("CREATE ROLE foreign_program LOGIN", database=SUPERUSER)
        await server.rows(f"CREATE DATABASE {DATABASE} OWNER {OWNER}", database=SUPERUSER)
        url = f"postgresql://{OWNER}@{LOOPBACK}:{server.port}/{DATABASE}"
        await command(ROOT, {"database_url": url}, "migrate")
        await _add_users(server)
        await server.stop()


async def _add_users(server: Postgres) -> None:
    # A hash that costs next to nothing to verify: the load is about sessions.
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    now = time.time()
    names = [*user_names(), *leaver_names()]
    values = [(secrets.token_hex(16), name, hashed, now) for name in names]
    connection = await server.connect(OWNER)
    try:
        insertion = "INSERT INTO users (id, username, password_hash, created_at)"
        await connection.executemany(f"{insertion} VALUES ($1, $2, $3, $4)", values)
    finally:
        await connection.close()


@dataclass
class Cluster:
    """All the programs; ``open`` starts them in a healthy state.

    Attributes:
        is_damaged: Whether a row has left something that only a new cluster cures.
        settings: The settings of its nodes, by name.
        leavers: The users whose sessions an operator may still end.
    """

    folder: Path
    way: Way
    options: Options
    children: Children
    is_damaged: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    leavers: list[str] = field(default_factory=leaver_names)

    def __post_init__(self) -> None:
        self.primary, self.synchronous, self.asynchronous = (
            Postgres(name, self.folder / name, self.children)
            for name in ("primary", "synchronous", "asynchronous")
        )
        self.redis = Redis(self.folder, self.children)
        self.pgbouncer = PgBouncer(self.folder, self.children)
        self.haproxy = HAProxy(self.folder, self.children)
        self.settings = {**SETTINGS, "database_url": self.url, "rate_limit_url": self.redis.url}
        if self.options.has_key_file:
            self.settings["keys_file"] = str(self.folder / "keys.json")
        else:
            self.settings["secret"] = secrets.token_urlsafe(40)
        self.nodes = [Node(name, self.folder, self.settings, self.children) for name in ("a", "b")]

    @property
    def url(self) -> str:
        """The database's address for the nodes."""
        if self.way == "pgbouncer":
            return f"postgresql://{OWNER}@{LOOPBACK}:{self.pgbouncer.port}/{DATABASE}"
        servers = (self.primary, self.synchronous, self.asynchronous)
        hosts = "&".join(f"host={LOOPBACK}:{server.port}" for server in servers)
        return f"postgresql://{OWNER}@/{DATABASE}?{hosts}&target_session_attrs=read-write"

    @property
    def port(self) -> int:
        """The clients' port, HAProxy's."""
        return self.haproxy.port

    async def open(self, template: Path) -> Self:
        """Start everything, and wait until all of it is healthy."""
        await self._start_database(template)
        self.redis.start()
        self.pgbouncer.lead_to(self.primary.port)
        # One node at first: where there is no keys file yet, one of them makes it.
        for node in self.nodes:
            node.start()
            if self.options.has_key_file:
                await node.wait_until_ready()
        self.haproxy.start([(node.name, node.port) for node in self.nodes])
        await self.wait_until_healthy()
        return self

    async def wait_until_healthy(self) -> None:
        """Wait until both nodes are ready and the proxy passes requests on."""
        for node in self.nodes:
            await node.wait_until_ready()
            await self.wait_until_used(node)

    async def wait_until_used(self, node: Node) -> None:
        """Wait until the proxy sends requests to a node."""
        await wait_until(f"HAProxy uses node {node.name}", lambda: self.uses(node))

    async def uses(self, node: Node) -> bool:
        """Return whether the proxy sends requests to a node."""
        try:
            return (await ask_once(self.port, "GET", f"/proxy/{node.name}")).status == 200
        except Failed:
            return False

    async def _start_database(self, template: Path) -> None:
        await self.primary.copy_from(template)
        if self.options.has_small_disk:
            self.primary.move_log_to(self.folder / "log")
        await self.primary.start(SYNCHRONOUS)
        replicas = (self.synchronous, self.asynchronous)
        await asyncio.gather(*(replica.follow(self.primary) for replica in replicas))
        await asyncio.gather(*(replica.start() for replica in replicas))
        await self.primary.wait_for_replicas(len(replicas))

    async def fail_over_to(self, replica: Postgres) -> None:
        """Make a replica the primary, and lead the nodes to it."""
        await replica.promote()
        self.primary = replica
        self.is_damaged = True
        self.pgbouncer.lead_to(replica.port)

    async def command(self, *words: str, stdin: str = "") -> str:
        """Run one of the server's commands on the cluster's database, as an operator does."""
        return await command(ROOT, self.settings, *words, stdin=stdin)

    async def sessions(self) -> Mapping[str, bool]:
        """Return which sessions the database has, and whether each is revoked."""
        rows = await self.primary.rows("SELECT id, revoked_at IS NOT NULL AS revoked FROM sessions")
        return {row["id"]: row["revoked"] for row in rows}


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount a disk of a few megabytes, which can be filled without harm to anything else."""
    folder.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=0700", "tmpfs")
    subprocess.run((program("mount"), *options, str(folder)), check=True)  # noqa: S603 - fixed words
    try:
        yield
    finally:
        subprocess.run((program("umount"), "--lazy", str(folder)), check=True)  # noqa: S603


@contextmanager
def cluster_in(parent: Path, way: Way, options: Options) -> Iterator[Cluster]:
    """Make a cluster in a folder of its own; at the end of the context nothing of it runs."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    folder.chmod(0o711)
    with ExitStack() as stack:
        if options.has_small_disk:
            stack.enter_context(small_disk(folder / "primary"))
        yield Cluster(folder, way, options, stack.enter_context(Children()))
