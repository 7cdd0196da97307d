"""The case study's meta training over a bus: a cloud side and an edge server, with real messages.

Each iteration is one `meta-round-started` to the edge server that hosts the twins of the tasks, and
one `gradients-computed` back. Gradients are float32 on both ways and the edge server computes its
twins in one batch, so the meta model is the one of the direct path, bit by bit.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import numpy as np

from twintier.broker.bus import Bus
from twintier.broker.memory import MemoryBus, MemoryHub
from twintier.broker.mqtt.bus import MqttBus
from twintier.broker.mqtt.link import MqttSettings
from twintier.broker.servers.local import start_broker
from twintier.inmf.perception.paper import COOP_PERCEPTION_PAPER
from twintier.launch.case_study.arms import (
    CaseStudySettings,
    Tick,
    meta_training,
    task_names,
    task_rngs,
    tasks_of,
)
from twintier.learning.emulated import adaptation_gradients
from twintier.learning.meta import MetaGradient
from twintier.learning.meta_training import MetaTraining
from twintier.learning.policy import Vector
from twintier.protocol.address import Address
from twintier.protocol.catalogue import Role
from twintier.protocol.codec import decode
from twintier.protocol.ids import EdgeId, InmfId, PlvnId
from twintier.protocol.messages import (
    GradientRow,
    GradientsComputed,
    MetaRoundStarted,
    MetaTrainingSettings,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.protocol.topics import subscription
from twintier.runtime.delivery.encoder import Encoder
from twintier.runtime.delivery.presence import new_incarnation
from twintier.runtime.effects import Publish

ROUND_S = 120.0
"""Longest iteration; a lost edge server ends the run instead of hanging it."""
EDGE = EdgeId("case-study")
INMF = InmfId(COOP_PERCEPTION_PAPER.inmf)
ADDRESS = Address(edge=EDGE, inmf=INMF)
JOB = "case-study"


@dataclass(slots=True)
class Endpoint:
    """One side: what it sends is numbered and encoded, what it takes is decoded and checked."""

    bus: Bus
    encoder: Encoder
    root: str
    address: Address

    @classmethod
    def of(cls, bus: Bus, role: Role, sender: str, root: str, address: Address) -> "Endpoint":
        """A side with an identity, and whom all its messages are about."""
        return cls(bus, Encoder(role, sender, new_incarnation(), root=root), root, address)

    async def send(self, message: Message) -> None:
        """Publish on the message's topic."""
        out = self.encoder.encode(Publish(message, self.address), time())
        await self.bus.publish(out.topic, out.payload, qos=out.qos, retain=out.retain)

    async def messages(self) -> AsyncIterator[Message]:
        """What arrives, acknowledged once the next one is asked for."""
        async for delivery in self.bus.deliveries():
            yield decode(delivery.payload, delivery.topic, self.root).message
            await delivery.ack()


def train_over_bus(
    url: str, mixture: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Vector:
    """PPO-ML's meta model, (n,) float32, trained over a bus.

    Args:
        url: `memory`, `auto` for a broker that is started for it, or the URL of a broker.
        mixture: (n,) float32, where it starts.
        settings: of the case study.
        seed: of the meta training.
        tick: called after each iteration.

    Raises:
        TimeoutError: if an iteration's gradients do not come.
        BrokerStartError: if no broker can be started.
    """
    training = meta_training(mixture, settings, seed)
    with broker_at(url) as address:
        return asyncio.run(_train(address, training, settings, seed, tick))


@contextmanager
def broker_at(url: str) -> Iterator[str]:
    """The URL itself, or that of a broker that is there as long as the context for `auto`."""
    if url != "auto":
        yield url
        return
    with TemporaryDirectory() as folder:
        broker = start_broker("auto", Path(folder))
        try:
            yield broker.url
        finally:
            broker.stop()


async def _train(
    url: str, training: MetaTraining, settings: CaseStudySettings, seed: int, tick: Tick
) -> Vector:
    root = f"case-study-{new_incarnation()}"
    cloud_bus, edge_bus = buses(url, ("cloud", "edge"))
    async with cloud_bus, edge_bus, asyncio.TaskGroup() as group:
        await cloud_bus.subscribe([subscription(GradientsComputed, ADDRESS, root)])
        await edge_bus.subscribe([subscription(MetaRoundStarted, ADDRESS, root)])
        serving = group.create_task(
            _serve(Endpoint.of(edge_bus, "edge", EDGE, root, ADDRESS), settings)
        )
        cloud = Endpoint.of(cloud_bus, "cloud", "cloud", root, ADDRESS)
        await _lead(cloud, training, settings, seed, tick)
        serving.cancel()
    return training.parameters


def buses(url: str, sides: tuple[str, str]) -> tuple[Bus, Bus]:
    """A bus for each of two sides that talk to one another."""
    if url == "memory":
        hub = MemoryHub()
        return MemoryBus(hub), MemoryBus(hub)
    names = (f"case-study-{side}-{new_incarnation()}" for side in sides)
    first, second = (MqttBus(url, MqttSettings(client_id=name)) for name in names)
    return first, second


async def _lead(
    endpoint: Endpoint,
    training: MetaTraining,
    settings: CaseStudySettings,
    seed: int,
    tick: Tick,
) -> None:
    """The cloud side of Fig. 5(a), iteration by iteration."""
    incoming = endpoint.messages()
    for iteration in range(settings.meta_iterations):
        model = {
            "init": training.parameters,
            "log_step_sizes": training.log_step_sizes,
        }
        await endpoint.send(_round(settings, seed, iteration, Tensors.pack(model)))
        async with asyncio.timeout(ROUND_S):
            answer = await _answer(incoming, iteration)
        names = [row.plvn for row in answer.rows]
        gradients, by_step = (
            dict(zip(names, answer.gradients.floats(name), strict=True))
            for name in ("gradient", "step_size_gradient")
        )
        training.apply(gradients, by_step)
        tick()


async def _answer(incoming: AsyncIterator[Message], iteration: int) -> GradientsComputed:
    """The rows of this iteration; repeated ones of another are dropped."""
    async for message in incoming:
        if isinstance(message, GradientsComputed) and message.iteration == iteration:
            return message
    raise ConnectionError("the bus was closed before the gradients came")


def _round(
    settings: CaseStudySettings, seed: int, iteration: int, model: Tensors
) -> MetaRoundStarted:
    return MetaRoundStarted(
        job=JOB,
        category="",
        iteration=iteration,
        deadline_s=ROUND_S,
        plvns=tuple(PlvnId(name) for name in task_names(settings)),
        schema_id=settings.policy.spec.schema_id,
        model=model,
        settings=MetaTrainingSettings(
            algorithm=settings.meta.algorithm,
            inner_steps=settings.meta.inner_steps,
            episodes=settings.meta.episodes,
            seed=seed,
        ),
    )


async def _serve(endpoint: Endpoint, settings: CaseStudySettings) -> None:
    """The edge side: adaptation gradients of all its twins, for every round that comes."""
    async for message in endpoint.messages():
        if isinstance(message, MetaRoundStarted):
            rows = await asyncio.to_thread(_compute, message, settings)
            await endpoint.send(_gradients(message, rows))


def _compute(asked: MetaRoundStarted, settings: CaseStudySettings) -> dict[str, MetaGradient]:
    rngs = task_rngs(asked.plvns, asked.settings.seed, asked.iteration)
    ordered = [rngs[plvn] for plvn in asked.plvns]
    results = adaptation_gradients(
        settings.policy,
        asked.model.floats("init"),
        asked.model.floats("log_step_sizes"),
        tasks_of(ordered, asked.settings.episodes),
        settings=settings.meta,
        rngs=ordered,
    )
    return dict(zip(asked.plvns, results, strict=True))


def _gradients(asked: MetaRoundStarted, rows: dict[str, MetaGradient]) -> GradientsComputed:
    gradients = {
        "gradient": np.stack([row.gradient for row in rows.values()]),
        "step_size_gradient": np.stack([row.step_size_gradient for row in rows.values()]),
    }
    return GradientsComputed(
        job=asked.job,
        iteration=asked.iteration,
        rows=tuple(
            GradientRow(
                plvn=PlvnId(plvn),
                adaptation_loss=row.adaptation_loss,
                adaptation_reward_before=row.reward_before,
                adaptation_reward=row.reward_after,
                slots=row.slots,
            )
            for plvn, row in rows.items()
        ),
        gradients=Tensors.pack(gradients),
    )
