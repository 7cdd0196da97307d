"""One managed INMF with small settings, and made-up results of its jobs."""

from dataclasses import dataclass, field

import numpy as np

from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.adaptation import ManagedInmf
from twintier.edge_twin.cache import CachedModel
from twintier.edge_twin.individual_model import IndividualModelDeleted
from twintier.edge_twin.jobs import AdaptationResult, ChangeResult, Start, policy_of
from twintier.edge_twin.life_cycle import State
from twintier.edge_twin.mirror import trajectory_fields
from twintier.edge_twin.settings import EdgeSettings
from twintier.inmf.contract import Posterior
from twintier.inmf.perception.emulator import EmulatorParameters
from twintier.inmf.perception.inmf import PerceptionEmulator
from twintier.inmf.registry import inmf_of
from twintier.inmf.spec import Windows
from twintier.inmf.trajectory import Trajectories
from twintier.protocol.columns import pack
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import (
    BaselineOrdered,
    IndividualModelReported,
    ModelDispatched,
    Site,
    TrajectoriesReported,
)
from twintier.protocol.messages.base import Message
from twintier.protocol.tensors import Tensors
from twintier.protocol.values import Fence
from twintier.runtime.effects import Effect, Publish, Save, StartJob

SETTINGS = EdgeSettings(
    windows=Windows(exchange=30, retrain=15),
    exchanges=2,
    max_exchanges=3,
    probation_blocks=2,
    guard_margin=0.1,
)
WINDOWS = Windows(exchange=30, retrain=15)
INMF = inmf_of(COOP_PERCEPTION)
POLICY = policy_of(COOP_PERCEPTION)
SITE = Site(city="Berlin", road="Local", lat_deg=52.5, lon_deg=13.4)
P1 = PlvnId("p1")
EMULATOR = PerceptionEmulator(EmulatorParameters())
ZEROS = np.zeros(POLICY.parameters, np.float32)
META = CachedModel("city=berlin", 1, ZEROS, ZEROS)
BLOCK = 15


def posterior(offset: float = 0.0) -> Posterior:
    """Knows `CLEAR`; `offset` is only a mark by which tests tell one from another."""
    best = CLEAR.as_array()
    return Posterior(best, best[None], np.ones(1), 100, 0.35 + offset)


def result(value: float, reward_after: float = 2.0, baseline: float = 1.0) -> AdaptationResult:
    """A candidate whose parameters are all `value`."""
    return AdaptationResult(
        parameters=np.full(POLICY.parameters, value, np.float32),
        origin=Start("meta_model", META.init, META.log_step_sizes),
        emulator=EMULATOR,
        posterior=posterior(),
        evidence="emulated",
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
    return pack(rows_of(slots), trajectory_fields(INMF))


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
        schema_id=INMF.schema_id,
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
            version = self.managed.orders.version
            message = trajectories(self.slot, version, reward_j=reward_j)
            self.slot += BLOCK
            effects += self.keep(self.managed.on_trajectories(message, float(self.slot)))
        return effects

    def done(self, outcome: AdaptationResult) -> list[Effect]:
        """The running adaptation ends."""
        return self.keep(
            self.managed.on_result(self.managed.trainer.attempt, outcome, float(self.slot))
        )

    def tested(self, *, changed: bool) -> list[Effect]:
        """The running change test ends."""
        outcome = ChangeResult(changed, 99.0 if changed else 1.0, posterior(1.0))
        return self.keep(self.managed.on_change_tested(self.managed.trainer.attempt, outcome))

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
    managed = ManagedInmf.begin(P1, COOP_PERCEPTION, SITE, Fence(1), SETTINGS)
    managed.on_meta_model(META)
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


def jobs(effects: list[Effect]) -> list[object]:
    """Keys of started jobs."""
    return [e.key for e in effects if isinstance(e, StartJob)]
