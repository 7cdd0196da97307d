"""The case study's adaptation over a bus: PPO-ML's epochs between a PLVN and its twin.

Each epoch is one `model-dispatched` to the PLVN, which explores its own episodes with it, and one
`trajectories-reported` back, which the twin learns from: the paper's pure loop. Both sides are
those of the direct path, each with its own generator, and everything travels in doubles, so the
curves are the same bit by bit.
"""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, SAMPLE
from twintier.inmf.perception.paper import TASK_LOW
from twintier.launch.case_study.arms import (
    Arm,
    CaseStudySettings,
    Curves,
    Learner,
    Player,
    Tick,
    arm_rng,
)
from twintier.launch.case_study.over_bus import EDGE, INMF, ROUND_S, Endpoint, broker_at, buses
from twintier.learning.policy import Vector
from twintier.learning.rollout import Rollout
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import ModelDispatched, TrajectoriesReported
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors, model_id
from twintier.protocol.topics import subscription
from twintier.runtime.delivery.presence import new_incarnation

ARM: Arm = "PPO-ML"
PLVN = PlvnId("task-1")
ADDRESS = Address(plvn=PLVN, inmf=INMF)


def adapt_over_bus(
    url: str, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Curves:
    """PPO-ML's curves on task 1, over a bus.

    Args:
        url: `memory`, `auto` for a broker that is started for it, or the URL of a broker.
        start: (n,) float32, the meta model.
        settings: of the case study.
        seed: of the adaptation.
        tick: called after each epoch.

    Raises:
        TimeoutError: if an epoch's trajectories do not come.
        BrokerStartError: if no broker can be started.
    """
    with broker_at(url) as address:
        return asyncio.run(_adapt(address, start, settings, seed, tick))


async def _adapt(
    url: str, start: Vector, settings: CaseStudySettings, seed: int, tick: Tick
) -> Curves:
    root = f"case-study-{new_incarnation()}"
    world, order = arm_rng(ARM, seed).spawn(2)
    learner = Learner(start, settings, order)
    edge_bus, plvn_bus = buses(url, ("edge", "plvn"))
    async with edge_bus, plvn_bus, asyncio.TaskGroup() as group:
        await edge_bus.subscribe([subscription(TrajectoriesReported, ADDRESS, root)])
        await plvn_bus.subscribe([subscription(ModelDispatched, ADDRESS, root)])
        plvn = Endpoint.of(plvn_bus, "plvn", PLVN, root, ADDRESS)
        acting = group.create_task(_act(plvn, Player(TASK_LOW, settings, world)))
        edge = Endpoint.of(edge_bus, "edge", EDGE, root, ADDRESS)
        await _teach(edge, learner, settings, tick)
        acting.cancel()
    return learner.curves


async def _teach(
    endpoint: Endpoint, learner: Learner, settings: CaseStudySettings, tick: Tick
) -> None:
    """The twin's side of Fig. 5(b), epoch by epoch."""
    incoming = endpoint.messages()
    for epoch in range(settings.epochs):
        await endpoint.send(_dispatch(settings, epoch, learner.parameters))
        async with asyncio.timeout(ROUND_S):
            reported = await _report_of(incoming, epoch)
        await asyncio.to_thread(learner.learn, _rollout(reported.slots))
        tick()


async def _report_of(incoming: AsyncIterator[Message], version: int) -> TrajectoriesReported:
    """The report of this model; a repeated one of an earlier model is dropped."""
    async for message in incoming:
        if isinstance(message, TrajectoriesReported) and message.model_version == version:
            return message
    raise ConnectionError("the bus was closed before the trajectories came")


async def _act(endpoint: Endpoint, player: Player) -> None:
    """The PLVN's side: explores with every new model; a repeated one is not played again."""
    last = -1
    async for message in endpoint.messages():
        if isinstance(message, ModelDispatched) and message.version > last:
            last = message.version
            flat = message.parameters.floats("parameters")
            rollout = await asyncio.to_thread(player.play, flat)
            await endpoint.send(_report(last, message.schema_id, rollout))


def _dispatch(settings: CaseStudySettings, epoch: int, flat: Vector) -> ModelDispatched:
    schema_id = settings.policy.spec.schema_id
    return ModelDispatched(
        inmf=INMF,
        version=epoch,
        purpose="exchange",
        model=model_id(schema_id, flat),
        schema_id=schema_id,
        parameters=Tensors.pack({"parameters": flat}),
        trajectory_slots=settings.episodes * TASK_LOW.size,
        sampled=True,
        program=b"",
    )


def _report(version: int, schema_id: str, rollout: Rollout) -> TrajectoriesReported:
    slots = {
        "observation": rollout.observations,
        SAMPLE: rollout.samples,
        ACTION: rollout.actions,
        REWARD: rollout.rewards,
    }
    return TrajectoriesReported(
        policy="individual_model",
        model_version=version,
        batch=version,
        slot_first=version * rollout.slots,
        schema_id=schema_id,
        slots=Tensors.pack(slots, dtype="<f8"),
    )


def _rollout(slots: Tensors) -> Rollout:
    arrays = slots.unpack()
    return Rollout(
        arrays["observation"].astype(np.float32),
        arrays[SAMPLE].astype(np.float32),
        arrays[ACTION].astype(np.bool_),
        arrays[REWARD].astype(np.float64),
    )
