"""Nodes that die, and nodes that are replaced."""

from __future__ import annotations

import signal

from tests.cluster.nodes import WORKERS, Node
from tests.cluster.processes import ClusterError, send, wait_until
from tests.cluster.scene import Scene

GONE_SECONDS = 15.0
"""How long the workers of a killed supervisor may take to notice."""


async def kill_worker(scene: Scene) -> None:
    """Kill one worker; its supervisor must replace it."""
    node = scene.cluster.nodes[0]
    killed = node.workers[0]
    send([killed], signal.SIGKILL)
    scene.over()

    async def is_replaced() -> bool:
        return killed not in node.workers and len(node.workers) == WORKERS

    await wait_until("the worker is replaced", is_replaced)


async def kill_node(scene: Scene) -> None:
    """Kill a supervisor with its workers, as a power cut does; start the node again later."""
    node = scene.cluster.nodes[0]
    node.child.kill()
    scene.over()
    await scene.outage(at_most=10)
    node.start()
    await node.wait_until_ready()


async def kill_supervisor(scene: Scene) -> None:
    """Kill a supervisor only; its workers must end, so that the node can start again."""
    node = scene.cluster.nodes[0]
    node.child.send(signal.SIGKILL)
    scene.over()

    async def nothing_is_left() -> bool:
        return not node.child.family

    try:
        await wait_until("the workers end", nothing_is_left, GONE_SECONDS)
    except ClusterError:
        scene.expect("the workers end with their supervisor", holds=False)
        node.child.kill()
    node.start()
    await node.wait_until_ready()


async def rolling_restart(scene: Scene) -> None:
    """Replace each node in turn by SIGTERM and a start, as a deployment does."""
    for node in scene.cluster.nodes:
        await replace(scene, node)


async def replace(scene: Scene, node: Node, clock: str | None = None) -> None:
    """Stop a node in order, start it again, and go on when the proxy uses it."""
    await node.restart(clock)
    await node.wait_until_ready()
    await scene.cluster.wait_until_used(node)
