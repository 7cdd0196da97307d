"""The contract of an INMF: what it must state, and what it may.

Nothing else in the platform names an INMF. Fields of slots travel, are mirrored and stored as
columns: arrays by name, one row a slot. What an INMF does not state, the platform does without, as
each optional part says. An INMF's code runs in cores and workers: it must be pure and may not
wait, and an error of its own costs that INMF on that PLVN only.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np

from twintier.inmf.episodes import Actions, EpisodeBatch, Replayed
from twintier.inmf.spec import Array, Field, InmfSpec, Mask, Observation
from twintier.inmf.traffic import Traffic, WorldSeed

Columns = Mapping[str, Array]
"""(slots, *shape) by field name; float64 inside, float32 on the wire."""
Row = Mapping[str, Array]
"""One slot: (*shape) by field name."""
ACTION, REWARD = "action", "reward"
SAMPLE, LOG_PROB = "sample", "log_prob"
"""Columns of the platform beside those of the INMF: (slots, action_dim) as carried out, (slots,)
reward; where actions are sampled, (slots, width) as sampled and (slots,) its log-probability."""
CLIP = 30.0
"""Residual, in deviations, beyond which a slot counts no more: a freak must not decide alone."""


class Site(Protocol):
    """What a deployment knows of a PLVN without measuring."""

    @property
    def city(self) -> str:
        """Name of the city."""
        ...

    @property
    def road(self) -> str:
        """Class of the roads."""
        ...


class Rule(Protocol):
    """The classical baseline in one PLVN: the agent's fallback, and what guards hold models to.

    A frozen value: both functions give the next state.
    """

    def decide(self, row: Row) -> tuple["Rule", Actions]:
        """Action (action_dim,) in a slot of measured and remembered fields."""
        ...

    def after(self, outcome: Row) -> "Rule":
        """The state after the outcome of the decided slot."""
        ...


class World(Protocol):
    """The physical side of one simulated PLVN under one INMF; other code than the emulator."""

    def measure(self, traffic: Traffic) -> Row:
        """Measured fields of a slot."""
        ...

    def act(self, action: Actions) -> Row:
        """Outcome fields of the slot measured last, with `action` as carried out and `reward`."""
        ...

    def truth(self, traffic: Traffic) -> str:
        """What holds now that nobody can see, in a few words, for people who watch a simulation."""
        ...


class Emulator(Protocol):
    """Emulation models of one PLVN: the expert's, or fitted. A frozen value that can be pickled."""

    def fit(self, measured: Columns) -> "Emulator":
        """Tuned to measured fields, shrunk to the expert's values."""
        ...

    def draw(
        self, episodes: int, rng: np.random.Generator, hidden: Array | None = None
    ) -> EpisodeBatch:
        """Emulated episodes.

        Args:
            episodes: how many.
            rng: the only source of randomness.
            hidden: (1 or episodes, h) hidden parameters; None for what an expert expects.
        """
        ...

    def replay(
        self, true: Columns, hidden: Array | None = None, slots: int | None = None
    ) -> Replayed | None:
        """True slots, to try other actions on; None if there is no whole episode.

        Args:
            true: consecutive slots.
            hidden: (1, h) hidden parameters; None for what an expert expects.
            slots: of an episode; as the spec has it if None. The newest whole episodes are taken.
        """
        ...

    def to_dict(self) -> dict[str, object]:
        """Plain numbers, lists and names, for a file."""
        ...


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of the hidden parameters of a PLVN."""

    best: Array
    """(h,)."""
    particles: Array
    """(k, h) plausible ones."""
    weights: Array
    """(k,) probabilities of the particles, summing to 1."""
    n_slots: int
    """Slots that it rests on."""
    residual_sd: float
    """Root mean square of observed less predicted reward under the best."""

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Hidden parameters as uncertain as the posterior is, (count, h)."""
        chosen: Array = self.particles[rng.choice(len(self.weights), size=count, p=self.weights)]
        return chosen


class Calibration(ABC):
    """How hidden parameters are found from (state, action, reward)."""

    @abstractmethod
    def prior(self, count: int, rng: np.random.Generator) -> Array:
        """Hidden parameters that an expert holds possible, (count, h)."""

    @abstractmethod
    def fit(self, true: Columns, known: Array, rng: np.random.Generator) -> Posterior:
        """Fit true slots, in any order; `known` (k, h) are good guesses, of earlier fits."""

    @abstractmethod
    def predict(self, true: Columns, hidden: Array) -> Array:
        """Reward of the same states and actions under (k, h) hidden parameters, (k, slots)."""

    @abstractmethod
    def deviation(self, reward: Array) -> Array:
        """What of measured rewards noise and the emulator's form explain, one deviation."""

    def informative(self, true: Columns) -> Mask:
        """Slots (slots,) whose reward depends on what is hidden."""
        return np.ones(true[REWARD].shape, bool)

    def misfits(self, true: Columns, hidden: Array) -> Array:
        """Clipped squared residual of each slot in deviations under (h,), (slots,)."""
        observed = true[REWARD]
        residual = (observed - self.predict(true, hidden[None])[0]) / self.deviation(observed)
        return np.asarray(np.clip(residual, -CLIP, CLIP) ** 2)


@dataclass(frozen=True, slots=True)
class Attributes:
    """An INMF's part of the network-level attributes; null is None."""

    workload: float | None = None
    workload_unit: str = ""
    resources: float | None = None
    resources_unit: str = ""


BoundKind = Literal["clairvoyant", "oracle", "ceiling"]


class Bound(Protocol):
    """The best possible reward with perfect foresight, or another stated ceiling."""

    @property
    def kind(self) -> BoundKind:
        """What kind of bound it is."""
        ...

    def __call__(self, batch: EpisodeBatch) -> Array:
        """Largest total reward of each episode that any actions earn, (episodes,)."""
        ...


class Inmf(ABC):
    """An intelligent network management function."""

    spec: InmfSpec
    measured: tuple[Field, ...]
    """What a PLVN measures before it decides."""
    remembered: tuple[Field, ...] = ()
    """What of earlier decisions the next observation depends on."""
    outcome: tuple[Field, ...] = ()
    """What a PLVN measures after it has acted, beside the reward."""
    former_schemas: tuple[str, ...] = ()
    """Schema ids of earlier releases whose fields and parameters mean the same."""

    calibration: Calibration | None = None
    """Without it the watch falls back to the residual of rewards."""
    teaches: bool = False
    """Whether emulated episodes are `Scored`; without it there are policy gradients only."""
    bound: Bound | None = None
    """Without it reports carry null."""

    # What it must state

    @abstractmethod
    def observe(self, rows: Columns) -> Observation:
        """(n, observation_dim) of rows of measured and remembered fields."""

    @abstractmethod
    def rule(self) -> Rule:
        """The classical baseline before its first slot."""

    def first_memory(self) -> Row:
        """Remembered fields before the first slot."""
        return {each.name: np.zeros(each.shape) for each in self.remembered}

    def remember(self, row: Row, outcome: Row) -> Row:
        """Remembered fields after a slot, of all its fields before and after acting."""
        del row
        return {each.name: outcome[each.name] for each in self.remembered}

    def admissible(self, row: Row, action: Actions) -> Actions:
        """The action without what cannot be done in this slot; as it is, if all can."""
        del row
        return action

    def attributes(self, measured: Columns) -> Attributes:
        """Its part of the network-level attributes over a window."""
        del measured
        return Attributes()

    # What it may state

    def emulator(self, site: Site) -> Emulator | None:
        """The expert's emulation models; None: the paper's loop on true trajectories alone."""
        del site
        return None

    def emulator_of(self, values: Mapping[str, object]) -> Emulator | None:
        """The emulator of `Emulator.to_dict`.

        Raises:
            ValueError: if a value is missing or not what it should be.
        """
        del values
        return None

    def rule_actions(self, batch: EpisodeBatch) -> Actions:
        """Actions of the settled baseline on emulated episodes, (episodes, slots, action_dim).

        Raises:
            NotImplementedError: if the INMF has no emulator, so that nobody asks.
        """
        raise NotImplementedError(f"{self.spec.inmf} states no rule for emulated episodes")

    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> World | None:
        """The physical side of a simulated PLVN; None: sources bring the fields themselves.

        Args:
            site: of the PLVN.
            seed: what everything random follows from.
            strength: of effects that the emulator does not know; 0 is the emulator's own form.
        """
        del site, seed, strength
        return None

    @property
    def is_emulated(self) -> bool:
        """Whether it states an emulator."""
        return type(self).emulator is not Inmf.emulator

    @cached_property
    def schema_id(self) -> str:
        """Names what models fit, on wire, disk and model: `ID/version/digest`.

        The digest is of id, version, observation_dim, actions and network of the spec, and of all
        fields. A change of anything else that models depend on, such as slot_s, gamma or the
        reward, wants a new version.
        """
        parts = (self.spec.observation_dim, self.spec.actions, self.spec.network)
        fields = [asdict(each) for each in (*self.measured, *self.remembered, *self.outcome)]
        text = repr((self.spec.inmf, self.spec.version, parts, fields))
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return f"{self.spec.inmf[:40]}/{self.spec.version}/{digest}"
