"""Redis, clocks, keys and secrets: what surrounds the nodes."""

from __future__ import annotations

import asyncio
import secrets

from tests.cluster.faults.processes import replace
from tests.cluster.scene import Fault, Scene
from unexpired_server.tokens.key_file import ACTIVATION_DELAY


async def hang_redis(scene: Scene) -> None:
    """Let Redis accept connections and answer nothing."""
    redis = scene.cluster.redis.child
    redis.freeze()
    try:
        await scene.outage(at_most=20)
    finally:
        redis.thaw()


async def lose_redis(scene: Scene) -> None:
    """Let Redis be gone, and come back empty."""
    scene.cluster.redis.child.kill()
    await scene.outage(at_most=20)
    scene.cluster.redis.start()


def wrong_clock(offset: str) -> Fault:
    """Return the fault that one node starts with a wrong clock, and later with the right one."""

    async def fault(scene: Scene) -> None:
        cluster, node = scene.cluster, scene.cluster.nodes[1]
        before = set(await cluster.sessions())
        await node.restart(offset)
        await node.wait_until_it_answers()
        await scene.outage(at_most=15)
        uses = "used" if await cluster.uses(node) else "left out"
        scene.notes.append(f"the proxy {uses} the node")
        missing = before - set(await cluster.sessions())
        scene.expect(f"no session is deleted, but {len(missing)} were", holds=not missing)
        await replace(scene, node)

    return fault


async def rotate_key(scene: Scene) -> None:
    """Add a key to the file that the nodes share, and let it become the one that signs."""
    await scene.cluster.command("key", "rotate")
    await asyncio.sleep(ACTIVATION_DELAY)


async def rotate_secret(scene: Scene) -> None:
    """Replace the secret: all nodes first learn to verify with the new one, then sign with it."""
    nodes = scene.cluster.nodes
    old, new = nodes[0].settings["secret"], secrets.token_urlsafe(40)
    for signing, verifying in ((old, new), (new, old)):
        for node in nodes:
            node.settings |= {"secret": signing, "previous_secrets": verifying}
            await replace(scene, node)
