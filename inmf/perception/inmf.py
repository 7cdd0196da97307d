"""Cooperative perception under the contract: which CAV pairs share their features in a slot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.contract import (
    ACTION,
    Attributes,
    Bound,
    BoundKind,
    Calibration,
    Columns,
    Inmf,
    Posterior,
    Row,
    Rule,
    Site,
)
from twintier.inmf.episodes import Actions, EpisodeBatch
from twintier.inmf.perception import calibration as fitting
from twintier.inmf.perception.assisted import (
    COOP_PERCEPTION_ASSISTED,
    AssistedEpisodes,
    observe_assisted,
)
from twintier.inmf.perception.baselines import Aimd, settled_aimd_actions
from twintier.inmf.perception.bound import clairvoyant
from twintier.inmf.perception.condition import Condition, draw_conditions, stack
from twintier.inmf.perception.emulator import EmulatorParameters, draw_trace, expert
from twintier.inmf.perception.exogenous import fit_exogenous
from twintier.inmf.perception.live import PAIRS, LiveEpisodes
from twintier.inmf.perception.replayed import ReplayedEpisodes, in_episodes
from twintier.inmf.perception.rows import trace_of, trajectories_of
from twintier.inmf.perception.world import PerceptionWorld
from twintier.inmf.spec import Array, Field, Mask, Observation
from twintier.inmf.traffic import WorldSeed

SPEC = COOP_PERCEPTION_ASSISTED
PAIR = (PAIRS,)


@dataclass(frozen=True, slots=True)
class PerceptionEmulator:
    """Bandwidth, workload, distance and presence of one PLVN's pairs; rewards by the physics."""

    parameters: EmulatorParameters

    def fit(self, measured: Columns) -> "PerceptionEmulator":
        """Tuned to telemetry, shrunk to these parameters."""
        return PerceptionEmulator(fit_exogenous(trace_of(measured), self.parameters))

    def draw(
        self, episodes: int, rng: np.random.Generator, hidden: Array | None = None
    ) -> AssistedEpisodes:
        """Emulated episodes under hidden conditions (1 or episodes, 5)."""
        trace = draw_trace(self.parameters, episodes, SPEC.slots, rng)
        return AssistedEpisodes(trace, self._conditions(hidden))

    def replay(
        self, true: Columns, hidden: Array | None = None, slots: int | None = None
    ) -> ReplayedEpisodes | None:
        """The newest whole episodes of true slots."""
        done = in_episodes(trajectories_of(true), slots or SPEC.slots)
        return None if done is None else ReplayedEpisodes(done, self._conditions(hidden)[0])

    def to_dict(self) -> dict[str, object]:
        """Plain numbers and lists, for a file."""
        return self.parameters.to_dict()

    def _conditions(self, hidden: Array | None) -> Sequence[Condition]:
        if hidden is None:
            return [self.parameters.condition]
        return [Condition.from_array(row) for row in hidden]


class PerceptionCalibration(Calibration):
    """The hidden condition, fitted to the slots in which a pair cooperates."""

    def prior(self, count: int, rng: np.random.Generator) -> Array:
        """(count, 5) conditions of `coop-perception-hidden` v1."""
        return stack(draw_conditions(count, rng))

    def fit(self, true: Columns, known: Array, rng: np.random.Generator) -> Posterior:
        """Least squares over candidates; see `inmf.perception.calibration`."""
        guesses = [Condition.from_array(row) for row in known]
        return fitting.calibrate(trajectories_of(true), guesses, rng)

    def predict(self, true: Columns, hidden: Array) -> Array:
        """(k, slots) J."""
        return fitting.predict(hidden, trajectories_of(true))

    def deviation(self, reward: Array) -> Array:
        """Noise and the relative error of the emulator's form together, J."""
        return fitting.deviations(reward)

    def informative(self, true: Columns) -> Mask:
        """Slots in which a pair cooperates or changes its mode."""
        return fitting.informative(trajectories_of(true))


@dataclass(frozen=True, slots=True)
class ClairvoyantBound:
    """Dynamic programming over the known trace and condition."""

    kind: BoundKind = "clairvoyant"

    def __call__(self, batch: EpisodeBatch) -> Array:
        """(episodes,) J."""
        assert isinstance(batch, LiveEpisodes), "the bound knows the physics of these episodes only"
        return clairvoyant(batch)


@dataclass(frozen=True, slots=True)
class AimdRule:
    """`classical_aimd`: greedy packing with expert constants and a margin that it learns."""

    aimd: Aimd = field(default_factory=Aimd)

    def decide(self, row: Row) -> tuple["AimdRule", Actions]:
        """Modes of this slot, (pairs,)."""
        aimd, modes = self.aimd.decide(
            float(row["bandwidth_hz"]), row["objects"], row["distance_m"], row["present"] > 0.5
        )
        return AimdRule(aimd), modes

    def after(self, outcome: Row) -> "AimdRule":
        """The margin after the slot; one whose feasibility nobody measured teaches nothing."""
        infeasible = float(outcome["infeasible"])
        if np.isnan(infeasible):
            return self
        return AimdRule(self.aimd.after(infeasible=infeasible > 0.5))


class CoopPerception(Inmf):
    """Adaptive cooperative perception, variant `live`."""

    spec = SPEC
    measured = (
        Field("bandwidth_hz", "Hz", low=0.0, high=1e11),
        Field("objects", "objects", PAIR, low=0.0, high=1e6),
        Field("distance_m", "m", PAIR, low=0.0, high=1e6),
        Field("present", "flag", PAIR, low=0.0, high=1.0),
    )
    remembered = (Field("modes_before", "flag", PAIR, low=0.0, high=1.0),)
    outcome = (
        Field("infeasible", "flag", low=0.0, high=1.0, nullable=True),
        Field("mode_changes", "1", low=0.0, high=float(PAIRS), nullable=True),
    )
    former_schemas = ("gaussian-mlp/19-64-64-3/v1",)
    calibration = PerceptionCalibration()
    teaches = True
    bound: Bound = ClairvoyantBound()

    def observe(self, rows: Columns) -> Observation:
        """(n, 19): the plain observation and expert features."""
        return observe_assisted(
            rows["bandwidth_hz"],
            rows["objects"],
            rows["distance_m"],
            rows["present"] > 0.5,
            rows["modes_before"] > 0.5,
        )

    def rule(self) -> Rule:
        """`classical_aimd` with the expert's margin."""
        return AimdRule()

    def remember(self, row: Row, outcome: Row) -> Row:
        """The modes as carried out."""
        del row
        return {"modes_before": np.asarray(outcome[ACTION], np.float64)}

    def admissible(self, row: Row, action: Actions) -> Actions:
        """A row without a pair is in SP."""
        return np.asarray(action, bool) & (row["present"] > 0.5)

    def attributes(self, measured: Columns) -> Attributes:
        """Mean objects of present pairs, mean bandwidth left for V2V."""
        there = measured["present"] > 0.5
        workload = float(measured["objects"][there].mean()) if there.any() else None
        return Attributes(workload, "objects", float(measured["bandwidth_hz"].mean()), "Hz")

    def emulator(self, site: Site) -> PerceptionEmulator:
        """Expert values for the site."""
        return PerceptionEmulator(expert(city=site.city, road=site.road))

    def emulator_of(self, values: Mapping[str, object]) -> PerceptionEmulator:
        """The emulator of `to_dict`."""
        return PerceptionEmulator(EmulatorParameters.from_dict(values))

    def rule_actions(self, batch: EpisodeBatch) -> Actions:
        """`classical_aimd` once its margin fits the condition."""
        assert isinstance(batch, LiveEpisodes), "the rule knows the physics of these episodes only"
        return settled_aimd_actions(batch)

    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> PerceptionWorld:
        """Traffic under a hidden condition that changes with events."""
        return PerceptionWorld(site, seed, strength=strength)
