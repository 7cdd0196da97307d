"""A node of a cluster is killed -9 amid QoS 1 messages and started again: all of them arrive.

Reader and writer are on different nodes and stay with theirs; the one that is killed is the
reader's, the writer's, or the third.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.clusters import CLUSTERS, Cluster, cluster_of
from twintier.broker.bus import Bus
from twintier.broker.errors import UnavailableError

pytestmark = [pytest.mark.soak, pytest.mark.system]

MESSAGES = 2000
PATIENCE_S = 150.0


async def collect(bus: Bus, count: int) -> set[int]:
    """Numbers of deliveries until so many different ones have come."""
    seen: set[int] = set()
    async for delivery in bus.deliveries():
        await delivery.ack()
        seen.add(int(delivery.payload))
        if len(seen) == count:
            break
    return seen


async def publish(bus: Bus, number: int) -> None:
    """Hand over a message, however long the bus is away."""
    while True:
        try:
            await bus.publish("t/n", str(number).encode(), qos=1)
        except UnavailableError:
            continue
        return


async def send_all(cluster: Cluster, killed: int) -> set[int]:
    """Send all messages, kill a node after half of them and start it again; what arrived."""
    async with (
        asyncio.timeout(PATIENCE_S),
        cluster.client("reader") as reader,
        cluster.client("writer") as writer,
    ):
        await reader.subscribe(["t/n"])
        async with asyncio.TaskGroup() as group:
            collecting = group.create_task(collect(reader, MESSAGES))
            for number in range(MESSAGES):
                await publish(writer, number)
                if number == MESSAGES // 2:
                    cluster.nodes[killed].kill()
                    cluster.nodes[killed].start()
            await writer.flush()
        return collecting.result()


@pytest.mark.parametrize("killed", [0, 1, 2], ids=["reader's", "writer's", "third"])
@pytest.mark.parametrize("kind", CLUSTERS)
def test_all_messages_arrive_though_a_node_is_killed_amid_them(
    kind: str, killed: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("messages", MESSAGES)
    with cluster_of(kind, tmp_path) as cluster:
        assert asyncio.run(send_all(cluster, killed)) == set(range(MESSAGES))
