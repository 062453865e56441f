"""A deployment of a version with one migration more, and its roll-back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from tests.cluster.faults.processes import replace
from tests.cluster.nodes import command
from tests.cluster.processes import ClusterError
from tests.cluster.scene import Scene
from tests.support.paths import ROOT

VERSIONS = "server/unexpired_server/storage/migrations/versions"
MIGRATION = '''\
"""What most migrations do: a column, its values, and an index."""

import sqlalchemy as sa
from alembic import op

from unexpired_server.storage.migrate import create_index, in_batches

revision = "{revision}"
down_revision = "{newest}"
oldest_code = "{newest}"
oldest_tables = "{newest}"


def upgrade():
    op.add_column("sessions", sa.Column("spare", sa.Integer))
    in_batches(
        "UPDATE sessions SET spare = 1 WHERE id IN "
        "(SELECT id FROM sessions WHERE spare IS NULL LIMIT :batch)"
    )
    create_index("ix_sessions_spare", "sessions", "spare")
'''


async def migrate_and_roll_back(scene: Scene) -> None:
    """Migrate under the nodes, replace them by those of the next version, and go back."""
    newer = await asyncio.to_thread(_next_version, scene.cluster.folder / "newer")
    await command(newer, scene.cluster.settings, "migrate")
    for tree, what in ((newer, "the next version"), (ROOT, "this version, rolled back")):
        for node in scene.cluster.nodes:
            node.tree = tree
            try:
                await replace(scene, node)
            except ClusterError as exc:
                scene.expect(f"{what} serves on the migrated tables: {exc}", holds=False)
                return


def _next_version(folder: Path) -> Path:
    """Copy this version's sources, and add a migration that lets this version go on."""
    for part in ("app", "server"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    versions = folder / VERSIONS
    newest = max(file.stem[1:5] for file in versions.glob("r*.py"))
    revision = f"{int(newest) + 1:04}"
    source = MIGRATION.format(revision=revision, newest=newest)
    (versions / f"r{revision}_next.py").write_text(source)
    return folder
