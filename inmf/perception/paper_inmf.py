"""Variant `paper` under the contract: every PLVN is a task of the case study (Section IV).

A task is a radio pattern, and a PLVN's is drawn from the name of its city: the emulator knows it,
as in the paper, and nothing is hidden that a calibration could find. There is no world: who plays
the case study brings the fields of its slots.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from twintier.inmf.contract import Attributes, Bound, BoundKind, Columns, Inmf, Row, Rule, Site
from twintier.inmf.episodes import Actions, EpisodeBatch
from twintier.inmf.perception.baselines import best_modes, enumerate_paper
from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.live import PAIRS
from twintier.inmf.perception.paper import (
    COOP_PERCEPTION_PAPER,
    PaperEpisodes,
    draw_pattern,
    observed,
)
from twintier.inmf.perception.physics import physics_of
from twintier.inmf.spec import Array, Field, Mlp, Observation, Windows
from twintier.inmf.traffic import WorldSeed

EPISODES = 10
"""Of an epoch in the paper; PLVN and twin exchange one epoch at a time."""
EPOCH_SLOTS = EPISODES * COOP_PERCEPTION_PAPER.slots
SPEC = replace(
    COOP_PERCEPTION_PAPER,
    network=Mlp((16, 16)),
    windows=Windows(
        batch=EPOCH_SLOTS,
        exchange=EPOCH_SLOTS,
        retrain=EPOCH_SLOTS,
        calibration=EPOCH_SLOTS,
        performance=EPOCH_SLOTS,
        telemetry=EPOCH_SLOTS,
    ),
)
"""The network is that of the authors' public implementation."""
PAIR = (PAIRS,)
PHYSICS = physics_of(stack([Condition(switching_cost_j=0.0)])[0])


class TaskEpisodes(PaperEpisodes):
    """Episodes as the installed INMF declares them."""

    spec = SPEC


@dataclass(frozen=True, slots=True)
class TaskEmulator:
    """Episodes of one task."""

    pattern_mhz: tuple[float, ...]
    """Mean bandwidth of each slot (mu)."""

    def fit(self, measured: Columns) -> "TaskEmulator":
        """The same: a task is known."""
        del measured
        return self

    def draw(
        self, episodes: int, rng: np.random.Generator, hidden: Array | None = None
    ) -> TaskEpisodes:
        """Episodes of the task; nothing is hidden."""
        del hidden
        return TaskEpisodes(np.array(self.pattern_mhz), episodes, rng)

    def replay(self, true: Columns, hidden: Array | None = None, slots: int | None = None) -> None:
        """None: emulated episodes are as good as true ones here."""
        del true, hidden, slots

    def to_dict(self) -> dict[str, object]:
        """The pattern, for a file."""
        return {"pattern_mhz": list(self.pattern_mhz)}


@dataclass(frozen=True, slots=True)
class EnumerateRule:
    """The best modes of each slot, which everything needed for is measured."""

    def decide(self, row: Row) -> tuple["EnumerateRule", Actions]:
        """Modes of this slot, (pairs,)."""
        return self, best_modes(PHYSICS, row["bandwidth_hz"], row["objects"], row["distance_m"])

    def after(self, outcome: Row) -> "EnumerateRule":
        """The same: it learns nothing."""
        del outcome
        return self


@dataclass(frozen=True, slots=True)
class EnumerateBound:
    """What the rule earns, for no slot depends on another."""

    kind: BoundKind = "clairvoyant"

    def __call__(self, batch: EpisodeBatch) -> Array:
        """(episodes,) J."""
        assert isinstance(batch, PaperEpisodes), "the bound knows the physics of these only"
        total: Array = batch.rewards(enumerate_paper(batch)).sum(axis=-1)
        return total


class PaperPerception(Inmf):
    """Adaptive cooperative perception, variant `paper`."""

    spec = SPEC
    measured = (
        Field("bandwidth_hz", "Hz", low=0.0, high=1e11),
        Field("objects", "objects", PAIR, low=0.0, high=1e6),
        Field("distance_m", "m", PAIR, low=0.0, high=1e6),
    )
    teaches = True
    bound: Bound = EnumerateBound()

    def observe(self, rows: Columns) -> Observation:
        """(n, 7)."""
        return observed(rows["bandwidth_hz"], rows["objects"], rows["distance_m"])

    def rule(self) -> Rule:
        """`enumerate`, which is the bound on this variant."""
        return EnumerateRule()

    def attributes(self, measured: Columns) -> Attributes:
        """Mean objects of a pair, mean bandwidth left for V2V."""
        workload, resources = (float(measured[n].mean()) for n in ("objects", "bandwidth_hz"))
        return Attributes(workload, "objects", resources, "Hz")

    def emulator(self, site: Site) -> TaskEmulator:
        """The task of the site."""
        rng = WorldSeed(0, site.city).generator("radio pattern")
        return TaskEmulator(tuple(float(mean) for mean in draw_pattern(rng)))

    def emulator_of(self, values: Mapping[str, object]) -> TaskEmulator:
        """The emulator of `to_dict`.

        Raises:
            ValueError: if there is no pattern, or one of another length.
        """
        found = values.get("pattern_mhz")
        means = np.asarray(found if isinstance(found, list) else [], np.float64)
        if means.shape != (SPEC.slots,):
            raise ValueError(f"pattern_mhz must be {SPEC.slots} numbers, not {found!r}")
        return TaskEmulator(tuple(means.tolist()))

    def rule_actions(self, batch: EpisodeBatch) -> Actions:
        """`enumerate` on all slots."""
        assert isinstance(batch, PaperEpisodes), "the rule knows the physics of these only"
        return enumerate_paper(batch)
