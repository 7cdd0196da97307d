"""One managed INMF with small settings, and made-up results of its jobs."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from tests.edge_twin.played import CLEAR, played
from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.individual_model import IndividualModelDeleted
from twintier.edge_twin.jobs import POLICY, AdaptationResult, ChangeResult, Start
from twintier.edge_twin.life_cycle import CachedModel, State, Waiting
from twintier.edge_twin.mirror import Mirror
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.perception.calibration import Calibration
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.inmf.trajectory import Trajectories
from twintier.protocol.ids import COOP_PERCEPTION, PlvnId
from twintier.protocol.messages import (
    BaselineOrdered,
    IndividualModelReported,
    ModelDispatched,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.protocol.values import Fence
from twintier.runtime.effects import Effect, Publish, Save, StartJob

SETTINGS = EdgeSettings(
    exchange_slots=30,
    retrain_slots=15,
    exchanges=2,
    max_exchanges=3,
    probation_blocks=2,
    guard_margin=0.1,
    guard_floor_j=0.1,
)
P1 = PlvnId("p1")
EMULATOR = EmulatorParameters()
ZEROS = np.zeros(POLICY.parameters, np.float32)
META = CachedModel("city=berlin", 1, ZEROS, ZEROS)
BLOCK = 15


def calibration(offset_j: float = 0.0) -> Calibration:
    """Knows `CLEAR`; `offset_j` is only a mark by which tests tell one from another."""
    return Calibration(CLEAR, CLEAR.as_array()[None], np.ones(1), 100, 0.35 + offset_j)


def result(value: float, reward_after: float = 2.0, baseline: float = 1.0) -> AdaptationResult:
    """A candidate whose parameters are all `value`."""
    return AdaptationResult(
        parameters=np.full(POLICY.parameters, value, np.float32),
        origin=Start("meta_model", META.parameters, META.log_step_sizes),
        emulator=EMULATOR,
        calibration=calibration(),
        reward_before=0.5,
        reward_after=reward_after,
        baseline_reward=baseline,
        bound_reward=3.0,
        updates=4,
        true_slots=5,
        synthetic_slots=6,
    )


def uploaded(slots: Trajectories) -> Tensors:
    """Slots of one episode as an agent packs them."""
    return Tensors.pack(
        {
            "bandwidth_hz": slots.trace.bandwidth_hz[0],
            "objects": slots.trace.objects[0],
            "distance_m": slots.trace.distance_m[0],
            "present": slots.trace.present[0],
            "modes_before": slots.modes_before[0],
            "modes": slots.modes[0],
            "reward_j": slots.reward_j[0],
        }
    )


def trajectories(
    slot_first: int, version: int, slots: int = BLOCK, reward_j: float | None = None
) -> TrajectoriesReported:
    """Slots of `CLEAR`, or with the same reward in each."""
    done = played(CLEAR, slots, slot_first)
    if reward_j is not None:
        even = np.full_like(done.reward_j, reward_j)
        done = Trajectories(done.trace, done.modes_before, done.modes, even)
    return TrajectoriesReported(
        policy="individual_model" if version else "baseline",
        model_version=version,
        batch=slot_first // BLOCK,
        slot_first=slot_first,
        slots=uploaded(done),
    )


@dataclass
class Loop:
    """Drives one managed INMF through its life; `saved` is what its store would hold."""

    managed: ManagedInmf
    slot: int = 0
    saved: set[int] = field(default_factory=set)

    def state(self) -> State:
        """Where it stands; a call, so that type checkers forget what they knew."""
        return self.managed.state

    def upload(self, blocks: int = 1, reward_j: float | None = None) -> list[Effect]:
        """The PLVN reports blocks by the version that acts."""
        effects: list[Effect] = []
        for _ in range(blocks):
            message = trajectories(self.slot, self.managed.version, reward_j=reward_j)
            rows = self.managed.mirror.add_trajectories(message)
            self.slot += BLOCK
            effects += self.keep(
                self.managed.on_trajectories(message, rows, EMULATOR, float(self.slot))
            )
        return effects

    def done(self, outcome: AdaptationResult) -> list[Effect]:
        """The running adaptation ends."""
        return self.keep(self.managed.on_result(self.managed.attempt, outcome, float(self.slot)))

    def tested(self, *, changed: bool) -> list[Effect]:
        """The running change test ends."""
        outcome = ChangeResult(changed, 99.0 if changed else 1.0, calibration(1.0))
        return self.keep(self.managed.on_change_tested(self.managed.attempt, outcome, EMULATOR))

    def keep(self, effects: list[Effect]) -> list[Effect]:
        """Save and delete as a store does."""
        for effect in effects:
            if isinstance(effect, Save):
                version = int(effect.record.version)  # type: ignore[attr-defined]  # of a model
                deleted = isinstance(effect.record, IndividualModelDeleted)
                self.saved = self.saved - {version} if deleted else self.saved | {version}
        return effects


def waiting() -> Loop:
    """Nothing has happened yet but the match."""
    mirror = Mirror.of(SETTINGS.telemetry_slots, SETTINGS.trajectory_slots)
    state = Waiting(0, SETTINGS.exchange_slots)
    managed = ManagedInmf(P1, COOP_PERCEPTION, SETTINGS, mirror, state, Fence(1))
    managed.on_meta_model(META, EMULATOR)
    return Loop(managed)


def on_probation() -> Loop:
    """The first final model has been dispatched."""
    loop = waiting()
    loop.upload(2)
    exchange(loop)
    return loop


def exchange(loop: Loop, value: float = 1.0) -> list[Effect]:
    """Two exchanges and the final dispatch, from a running first job on."""
    loop.done(result(value))
    loop.upload(2)
    loop.done(result(value + 1))
    loop.upload(2)
    return loop.done(result(value + 2))


def in_force() -> Loop:
    """The first model has passed probation."""
    loop = on_probation()
    loop.upload(SETTINGS.probation_blocks)
    return loop


def dispatched(effects: list[Effect]) -> list[ModelDispatched | BaselineOrdered]:
    """What goes to the PLVN."""
    messages = [e.message for e in effects if isinstance(e, Publish)]
    return [m for m in messages if isinstance(m, ModelDispatched | BaselineOrdered)]


def of(effects: list[Effect], kind: type[Message]) -> list[Message]:
    """Published messages of a kind."""
    return [e.message for e in effects if isinstance(e, Publish) and isinstance(e.message, kind)]


def states(effects: list[Effect]) -> list[tuple[int, str]]:
    """Version and state of each model that is reported."""
    messages = [e.message for e in effects if isinstance(e, Publish)]
    return [(m.version, m.state) for m in messages if isinstance(m, IndividualModelReported)]


def jobs(effects: list[Effect]) -> list[Hashable]:
    """Keys of started jobs."""
    return [e.key for e in effects if isinstance(e, StartJob)]
