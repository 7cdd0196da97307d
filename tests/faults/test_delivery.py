"""The checker of deliveries, and that it does report when a protection is taken away."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from broker.autojump import run
from broker.clock import LoopClock
from broker.core import Input, Received
from broker.effects import Effect, Publish, Subscribe
from broker.faulty import Faults, FaultyBus
from broker.inbound import SeenNumbers
from broker.jobs import InlineJobs
from broker.memory import MemoryBus, MemoryHub
from broker.runtime import Runtime, RuntimeSettings
from broker.store import NoStore
from protocol.address import Address
from protocol.ids import COOP_PERCEPTION, PlvnId
from protocol.messages import PerformanceReported
from tests.support.toy import Behaviour, ToyCore, nothing, performance

COUNT = 500
AT = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)


async def effects_by_number(faults: Faults) -> Counter[int]:
    """How often each of 500 messages had its effect at the receiver."""
    hub, taken = MemoryHub(), Counter[int]()

    def count(message: Input, _now: float) -> Sequence[Effect]:
        if isinstance(message, Received) and isinstance(message.message, PerformanceReported):
            taken[message.message.slot_first] += 1
        return []

    route = Subscribe((PerformanceReported,), Address())
    receiver = runtime(ToyCore("edge", "e1", count), FaultyBus(MemoryBus(hub), faults, "e1"), route)
    core = ToyCore("plvn", "p1")
    sender = runtime(core, MemoryBus(hub))
    async with asyncio.TaskGroup() as group:
        group.create_task(receiver.run())
        group.create_task(sender.run())
        await asyncio.sleep(0.1)
        for number in range(COUNT):
            core.behaviour = publishing(number)
            sender.observe(None)
            await asyncio.sleep(0.02)
        core.behaviour = nothing
        await asyncio.sleep(30)
        for each in (receiver, sender):
            await each.stop()
    return taken


def publishing(number: int) -> Behaviour:
    return lambda _taken, _now: [Publish(performance(number), AT)]


def runtime(core: ToyCore, bus: MemoryBus | FaultyBus, *routes: Subscribe) -> Runtime:
    return Runtime(
        core,
        bus,
        routes=routes,
        clock=LoopClock(),
        jobs=InlineJobs(),
        store=NoStore(),
        settings=RuntimeSettings(boot=f"b-{core.id}"),
    )


DOUBLING = Faults(seed=3, duplicate=0.4, delay=0.3, delay_s=1.0)


def test_doubled_and_late_messages_have_exactly_one_effect() -> None:
    assert run(effects_by_number(DOUBLING)) == Counter(range(COUNT))


def test_the_checker_sees_doubles_when_duplicates_are_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SeenNumbers, "add", lambda _self, _seq: True)
    taken = run(effects_by_number(DOUBLING))
    assert sum(count == 2 for count in taken.values()) > COUNT // 4


def test_the_checker_sees_losses_for_which_nobody_resends() -> None:
    taken = run(effects_by_number(Faults(seed=3, loss=0.1)))
    assert set(taken.values()) == {1}
    assert COUNT * 0.05 < COUNT - len(taken) < COUNT * 0.15


def test_a_message_that_hundreds_have_overtaken_still_has_its_effect() -> None:
    taken = run(effects_by_number(Faults(seed=3, delay=0.1, delay_s=25.0)))
    assert taken == Counter(range(COUNT))
