"""What a peer that announces large messages in bad faith can do: nothing to others."""

import asyncio
from dataclasses import replace

import pytest

from tests.runtime.delivery.test_delivery import Node, node, of, running, virtual
from tests.support.names import COOP_PERCEPTION
from tests.support.toy import ToyCore, performance
from twintier.broker.memory import MemoryBus, MemoryDelivery, MemoryHub
from twintier.protocol.address import Address
from twintier.protocol.catalogue import row_of
from twintier.protocol.codec import Announced, announce
from twintier.protocol.envelope import BlobRef, Envelope
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import ChunkSent, PerformanceReported, TrajectoriesReported
from twintier.protocol.tensors import Tensors
from twintier.runtime.delivery.assemblies import (
    MAX_BYTES_OF_SOURCE,
    MAX_HELD,
    MAX_MESSAGES,
    MAX_MESSAGES_OF_SOURCE,
    Assemblies,
)
from twintier.runtime.delivery.chunks import Assembly
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.large_messages import MAX_SILENCES
from twintier.runtime.effects import Publish, Subscribe

import numpy as np  # isort: skip

LISTENING = Subscribe((PerformanceReported, TrajectoriesReported), Address(branch="plvn/up"))
MEBIBYTE = 1024 * 1024


def announced(src: str = "plvn:p1", boot: str = "b1", size: int = 2048) -> Announced:
    envelope = Envelope(
        type="trajectories-reported.v2",
        id=bytes(16),
        src=src,
        boot=boot,
        stream="plvn/p1/up/traj/coop-perception",
        seq=1,
        ts_ns=0,
    )
    blob = BlobRef(digest="0" * 64, size=size, chunk_size=1024)
    return Announced(envelope, blob, row_of(TrajectoriesReported))


def delivery() -> MemoryDelivery:
    return MemoryDelivery(MemoryBus(MemoryHub()), "t", b"", 1, retain=False, expiry=1.0)


def assembly(of_what: Announced) -> Assembly:
    return Assembly(of_what, delivery(), until=600.0)


class TestBounds:
    def test_a_source_has_so_many_under_way_and_no_more(self) -> None:
        async def main() -> None:
            under_way = Assemblies()
            for number in range(MAX_MESSAGES_OF_SOURCE):
                assert under_way.excess(announced(boot=f"b{number}")) is None
                under_way.add(assembly(announced(boot=f"b{number}")))
            reason = under_way.excess(announced(boot="more"))
            assert reason == "4 large messages of plvn:p1 are under way; send it again later"
            assert under_way.excess(announced(src="plvn:p2")) is None

        asyncio.run(main())

    def test_all_together_have_so_many_under_way(self) -> None:
        async def main() -> None:
            under_way = Assemblies()
            for number in range(MAX_MESSAGES):
                under_way.add(assembly(announced(src=f"plvn:p{number}")))
            reason = under_way.excess(announced(src="plvn:more"))
            assert reason == "32 large messages are under way; send it again later"

        asyncio.run(main())

    @pytest.mark.parametrize(("sources", "whose"), [(1, " of plvn:p0"), (4, "")])
    def test_announced_bytes_are_bounded_for_one_and_for_all(
        self, sources: int, whose: str
    ) -> None:
        async def main() -> None:
            under_way = Assemblies()
            for number in range(sources):
                whole = announced(src=f"plvn:p{number}", size=MAX_BYTES_OF_SOURCE)
                assert under_way.excess(whole) is None
                under_way.add(assembly(whole))
            src = "plvn:p0" if sources == 1 else "plvn:more"
            reason = under_way.excess(announced(src=src, boot="b2", size=5))
            bytes_of = sources * MAX_BYTES_OF_SOURCE
            assert reason == f"5 bytes, with {bytes_of}{whose} under way, exceed {bytes_of}"

        asyncio.run(main())

    def test_only_so_many_deliveries_wait_behind_large_ones(self) -> None:
        async def main() -> None:
            under_way = Assemblies()
            one, two = assembly(announced()), assembly(announced(src="plvn:p2"))
            under_way.add(one)
            under_way.add(two)
            held = [under_way.hold((one, two)[i % 2], delivery()) for i in range(MAX_HELD + 1)]
            assert held == [True] * MAX_HELD + [False]

        asyncio.run(main())

    def test_a_chunk_is_for_those_that_its_own_sender_announced(self) -> None:
        async def main() -> None:
            under_way = Assemblies()
            mine, again, other = (
                assembly(announced()),
                assembly(announced(boot="b2")),
                assembly(announced(src="plvn:p2")),
            )
            for each in (mine, again, other):
                under_way.add(each)
            assert under_way.fed_by("plvn:p1", "0" * 64) == [mine, again]
            assert under_way.fed_by("plvn:p3", "0" * 64) == []
            under_way.remove(mine)
            assert under_way.fed_by("plvn:p1", "0" * 64) == [again]
            assert under_way.of(mine.stream) is None

        asyncio.run(main())


LARGE = TrajectoriesReported(
    policy="individual_model",
    model_version=1,
    batch=1,
    slot_first=0,
    schema_id="any",
    slots=Tensors.pack({"reward": np.zeros(1000)}),
)
AT = Address(plvn=PlvnId("evil"), inmf=COOP_PERCEPTION)


def encoder(boot: str) -> Encoder:
    return Encoder("plvn", "evil", boot, root="twintier", low_watermark=lambda _stream: 1)


def head(boot: str, seq: int = 1) -> tuple[str, bytes]:
    """Announces the same bytes under any boot."""
    outgoing = encoder("same").encode(Publish(LARGE, AT), 0.0)
    payload, _ = announce(outgoing.payload, 1024)
    return outgoing.topic, payload.replace(b"\xa4boot\xa4same", b"\xa4boot" + packed(boot))


def packed(text: str) -> bytes:
    return bytes([0xA0 + len(text)]) + text.encode()


def gone(digest: str) -> tuple[str, bytes]:
    said = ChunkSent(index=0, state="gone", data=b"")
    to = replace(AT, inmf=None, digest=digest, branch="plvn/up")
    outgoing = encoder("b9").encode(Publish(said, to), 0.0, stream="plvn/up/blob")
    return outgoing.topic, outgoing.payload


def digest_of_head() -> str:
    return announce(encoder("same").encode(Publish(LARGE, AT), 0.0).payload, 1024)[1].digest


def edge(hub: MemoryHub) -> Node:
    return node(hub, ToyCore("edge", "e1"), LISTENING)


def small(boot: str, reward: int) -> tuple[str, bytes]:
    outgoing = encoder(boot).encode(Publish(performance(reward), AT), 0.0)
    return outgoing.topic, outgoing.payload


class TestBadFaith:
    def test_the_same_bytes_announced_twice_and_then_forgotten_end_both(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            server = edge(hub)
            async with running(server), MemoryBus(hub) as evil:
                for topic, payload in (head("b1"), head("b2")):
                    await evil.publish(topic, payload, qos=1)
                await asyncio.sleep(1)
                assert server.runtime.large_under_way == 2
                await evil.publish(*gone(digest_of_head()), qos=1)
                await asyncio.sleep(1)
                assert server.runtime.large_under_way == 0
                await evil.publish(*small("b1", 5), qos=1)
                await asyncio.sleep(1)
            assert server.runtime.meter.counts["refused.incomplete"] == 2
            assert of(server.core, PerformanceReported) == [performance(5)]

        virtual(main())

    @pytest.mark.slow
    def test_ten_thousand_heads_cost_four_and_are_given_up_in_silence(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            server = edge(hub)
            async with running(server), MemoryBus(hub) as evil:
                for number in range(10_000):
                    topic, payload = head(f"b{number}")
                    await evil.publish(topic, payload, qos=1)
                await asyncio.sleep(1)
                under_way = server.runtime.large_under_way
                assert under_way == MAX_MESSAGES_OF_SOURCE
                await asyncio.sleep(2.5 * MAX_SILENCES)
                assert server.runtime.large_under_way == 0
            assert server.runtime.meter.counts["refused.incomplete"] == 10_000

        virtual(main())

    def test_what_waits_behind_a_head_is_bounded_and_refused_beyond(self) -> None:
        async def main() -> None:
            hub = MemoryHub()
            server = edge(hub)
            async with running(server), MemoryBus(hub) as evil:
                await evil.publish(*head("b1"), qos=1)
                for _ in range(MAX_HELD + 10):
                    await evil.publish(*head("b1"), qos=1)
                await asyncio.sleep(1)
                assert server.runtime.meter.counts["refused.incomplete"] == 10

        virtual(main())
