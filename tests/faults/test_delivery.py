"""Every accepted message has exactly one effect, in order; the checker reports when it has not.

Each protection is taken away in turn, and the same checker must then see losses, doubles or
disorder: a check that cannot fail proves nothing.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.autojump import LoopClock, run
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import Behaviour, ToyCore, applied, nothing, performance
from twintier.broker.faulty import Faults, FaultyBus
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import ModelApplied, PerformanceReported, UploadsAcknowledged
from twintier.protocol.messages.base import Message
from twintier.runtime.build import build_runtime
from twintier.runtime.core import Input, Received
from twintier.runtime.delivery.outbox import OutboxSettings
from twintier.runtime.delivery.positions import Positions
from twintier.runtime.delivery.seen import SeenNumbers
from twintier.runtime.delivery.settings import DeliverySettings
from twintier.runtime.effects import Effect, Publish, Subscribe
from twintier.runtime.jobs import InlineJobs
from twintier.runtime.runtime import Runtime
from twintier.runtime.settings import RuntimeSettings
from twintier.runtime.storage.store import MemoryStore

COUNT = 500
P1 = PlvnId("p1")
AT = Address(plvn=P1, inmf=COOP_PERCEPTION)
ACKS = Subscribe((UploadsAcknowledged,), Address(plvn=P1, branch="plvn/down"))
NEVER_AGAIN = OutboxSettings(pause_s=(math.inf, math.inf), shortest_s=math.inf)
DOUBLING = Faults(seed=3, duplicate=0.4, delay=0.3, delay_s=1.0)
WORST = Faults(
    seed=3, loss=0.2, duplicate=0.2, delay=0.2, delay_s=1.0, partition_every_s=5.0, partition_s=1.0
)


@dataclass(slots=True)
class History:
    """Numbers in the order of their effects, and what the sender still keeps."""

    effects: list[int] = field(default_factory=list)
    kept: int = 0

    @property
    def counts(self) -> Counter[int]:
        return Counter(self.effects)


async def history(
    faults: Faults, *, uploads: bool = True, outbox: OutboxSettings | None = None
) -> History:
    """Send 500 numbered messages to a receiver behind faults, both ways."""
    hub, found = MemoryHub(), History()

    def note(message: Input, _now: float) -> Sequence[Effect]:
        match message:
            case Received(message=PerformanceReported(slot_first=number)):
                found.effects.append(number)
            case Received(message=ModelApplied(version=number)):
                found.effects.append(number)
        return []

    route = Subscribe((PerformanceReported, ModelApplied), Address())
    receiver = runtime(ToyCore("edge", "e1", note), FaultyBus(MemoryBus(hub), faults, "e1"), route)
    core = ToyCore("plvn", "p1")
    settings = DeliverySettings(outbox=outbox or OutboxSettings(seed=1))
    sender = runtime(core, FaultyBus(MemoryBus(hub), faults, "p1"), ACKS, delivery=settings)
    async with asyncio.TaskGroup() as group:
        group.create_task(receiver.run())
        group.create_task(sender.run())
        await asyncio.sleep(0.1)
        for number in range(COUNT):
            core.behaviour = publishing(performance(number) if uploads else applied(number))
            sender.observe(None)
            await asyncio.sleep(0.02)
        core.behaviour = nothing
        await asyncio.sleep(200)
        found.kept = sender.kept
        for each in (receiver, sender):
            await each.stop()
    return found


def publishing(message: Message) -> Behaviour:
    return lambda taken, _now: [] if isinstance(taken, Received) else [Publish(message, AT)]


def runtime(
    core: ToyCore, bus: FaultyBus, *routes: Subscribe, delivery: DeliverySettings | None = None
) -> Runtime:
    return build_runtime(
        core,
        bus,
        routes=routes,
        clock=LoopClock(),
        jobs=InlineJobs(),
        store=MemoryStore(),
        settings=RuntimeSettings(
            incarnation=f"b-{core.id}", delivery=delivery or DeliverySettings()
        ),
    )


@pytest.mark.slow
def test_lost_doubled_late_and_cut_off_uploads_have_one_effect_each_in_order() -> None:
    found = run(history(WORST))
    assert found.effects == list(range(COUNT))
    assert found.kept == 0


def test_the_checker_sees_losses_when_nothing_is_sent_again() -> None:
    found = run(history(Faults(seed=3, loss=0.1), outbox=NEVER_AGAIN))
    assert len(found.effects) < COUNT
    assert found.kept == COUNT - len(found.effects)


def test_the_checker_sees_doubles_when_positions_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Positions, "verdict", lambda _self, _envelope: "next")
    found = run(history(DOUBLING))
    assert sum(count > 1 for count in found.counts.values()) > COUNT // 4
    assert found.effects != sorted(found.effects)


def test_doubled_and_late_plain_messages_have_exactly_one_effect() -> None:
    assert run(history(DOUBLING, uploads=False)).counts == Counter(range(COUNT))


def test_the_checker_sees_doubles_when_duplicates_are_let_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SeenNumbers, "add", lambda _self, _seq: True)
    counts = run(history(DOUBLING, uploads=False)).counts
    assert sum(count == 2 for count in counts.values()) > COUNT // 4


def test_plain_messages_are_lost_for_good() -> None:
    counts = run(history(Faults(seed=3, loss=0.1), uploads=False)).counts
    assert set(counts.values()) == {1}
    assert COUNT * 0.05 < COUNT - len(counts) < COUNT * 0.15


def test_a_message_that_hundreds_have_overtaken_still_has_its_effect() -> None:
    found = run(history(Faults(seed=3, delay=0.1, delay_s=25.0), uploads=False))
    assert found.counts == Counter(range(COUNT))
