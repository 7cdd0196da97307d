"""Memory of a cloud twin and an edge server over 10,000 rounds and 10,000 ids of PLVNs.

Both are the real ones with their runtimes and stores, on the in-memory bus in virtual time; only
the jobs are made up, for they run in processes of their own. Resident memory is compared after a
tenth of the work and at its end, so what every start costs does not count.
"""

import asyncio
import gc
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support import autojump
from tests.support.autojump import LoopClock
from tests.support.names import COOP_PERCEPTION
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.cloud_twin.settings import CloudSettings
from twintier.edge_twin.jobs import MetaTask, policy_of
from twintier.edge_twin.settings import EdgeSettings
from twintier.launch.deployment import Deployment
from twintier.launch.twins import cloud_runtime, edge_runtime
from twintier.learning.meta import MetaGradient
from twintier.protocol.address import Address
from twintier.protocol.ids import EdgeId, PlvnId
from twintier.protocol.messages import RegistrationGranted, RegistrationRequested, Site
from twintier.protocol.topics import subscription
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.effects import Job, Publish
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.supervisor import Supervisor

pytestmark = [pytest.mark.soak, pytest.mark.system, pytest.mark.timeout(1500)]

ROUNDS = 10_000
IDS = 10_000
PASSES = 3
MOST_GROWTH_BYTES = 16 * 1024 * 1024
"""Over 9,000 rounds, or over another 10,000 registrations of known ids: under 2 kB each."""
SITE = Site(city="berlin", road="highway", lat_deg=1.0, lon_deg=2.0)
ZEROS = np.zeros(policy_of(COOP_PERCEPTION).parameters, np.float32)


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass
class QuickJobs(InlineJobs):
    """Answers each task of a round with zeros, and weighs the process now and then."""

    every: int
    done: int = 0
    weights: list[int] = field(default_factory=list)

    def submit(self, job: Job, priority: int = 0) -> "asyncio.Future[object]":
        if not isinstance(job, MetaTask):
            return super().submit(job, priority)
        self.done += 1
        if self.done % self.every == 0:
            self.weights.append(resident_bytes())
        row = MetaGradient(ZEROS, ZEROS, 0.0, 0.0, 0.0, 75)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_result({twin.plvn: row for twin in job.twins})
        return future


@dataclass
class Platform:
    """A cloud twin and an edge server that run on a hub."""

    hub: MemoryHub
    cloud: Supervisor
    edge: Supervisor

    async def register(self, plvns: list[PlvnId]) -> None:
        """Ask for each PLVN to be managed, as a process that has just begun, until all are."""
        waiting = set(plvns)
        everything = subscription(RegistrationGranted, Address())
        async with MemoryBus(self.hub) as bus:
            await bus.subscribe([everything])
            for plvn in plvns:
                encoder = Encoder("plvn", plvn, new_incarnation(), root="twintier")
                request = RegistrationRequested(site=SITE, requested_inmfs=(COOP_PERCEPTION,))
                outgoing = encoder.encode(Publish(request, Address(plvn=plvn)), LoopClock().now())
                await bus.publish(outgoing.topic, outgoing.payload, qos=1)
            async for delivery in bus.deliveries():
                await delivery.ack()
                waiting.discard(PlvnId(delivery.topic.split("/")[3]))
                if not waiting:
                    break


async def started(
    stack: AsyncExitStack, folder: Path, settings: CloudSettings, jobs: QuickJobs
) -> Platform:
    """Both processes, online until the stack ends."""
    hub = MemoryHub()
    deployment = Deployment(lambda _name: MemoryBus(hub), LoopClock(), folder)
    edge = EdgeSettings(capacity=2 * IDS)
    platform = Platform(
        hub,
        cloud_runtime(deployment, settings),
        edge_runtime(deployment, EdgeId("e1"), edge, jobs),
    )
    group = await stack.enter_async_context(asyncio.TaskGroup())
    for runtime in (platform.edge, platform.cloud):
        group.create_task(runtime.run())
        stack.push_async_callback(runtime.stop)
    await asyncio.sleep(1.0)  # in virtual time
    return platform


def test_ten_thousand_rounds_leave_no_memory_behind(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    jobs = QuickJobs(ROUNDS // 10)
    settings = CloudSettings(
        first_stage_iterations=0,
        iterations=ROUNDS,
        min_iterations=ROUNDS,
        tasks=4,
        planning_s=1e7,
        super_share=1.0,
        expected_plvns=4,
        n_min=9,
    )

    async def main() -> None:
        async with AsyncExitStack() as stack:
            platform = await started(stack, tmp_path, settings, jobs)
            await platform.register([PlvnId(f"p{number}") for number in range(4)])
            while jobs.done < ROUNDS:  # noqa: ASYNC110  # virtual time
                await asyncio.sleep(10.0)
            assert platform.cloud.meter.counts["refused.failed"] == 0
            assert platform.edge.meter.counts["refused.failed"] == 0

    autojump.run(main())
    record_property("resident_bytes", jobs.weights)
    assert len(jobs.weights) == 10
    assert max(jobs.weights) - jobs.weights[0] < MOST_GROWTH_BYTES


def test_ten_thousand_ids_that_come_again_take_no_more_memory(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    weights: list[int] = []
    settings = CloudSettings(planning_s=1e9, expected_plvns=2 * IDS, n_min=2 * IDS)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            platform = await started(stack, tmp_path, settings, QuickJobs(IDS))
            for _ in range(PASSES):
                await platform.register([PlvnId(f"p{number}") for number in range(IDS)])
                weights.append(resident_bytes())

    autojump.run(main())
    record_property("resident_bytes", weights)
    assert weights[-1] - weights[-2] < MOST_GROWTH_BYTES
