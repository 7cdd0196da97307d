"""The INMF under check with what checks share: simulated slots, episodes, and who plays them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from twintier.inmf.check.findings import NotStatedError, require
from twintier.inmf.contract import (
    ACTION,
    REWARD,
    Calibration,
    Columns,
    Emulator,
    Inmf,
    Posterior,
    Row,
    World,
)
from twintier.inmf.episodes import Actions, EpisodeBatch, Replayed
from twintier.inmf.spec import Array, Box, Discrete, MultiBinary, Observation
from twintier.inmf.traffic import Traffic, WorldSeed

PLVN = "checked"
LINKS = 3
EPISODES = 4
LARGEST_OBSERVATION = 10.0
"""Beyond this no network of the platform learns; about 2 is meant."""
LARGEST_DRAWN = 10.0
"""Rows without a world are drawn within a field's limits and this."""
DRAWN_ROWS = 64
Policy = Callable[[Observation], Actions]


@dataclass(frozen=True, slots=True)
class CheckedSite:
    """A site that a deployment may have."""

    city: str = "toronto"
    road: str = "local"


SITE = CheckedSite()


class Subject:
    """One INMF, and everything random about its checks from one seed."""

    def __init__(self, inmf: Inmf, seed: int = 0) -> None:
        """Nothing is simulated before it is asked for."""
        self.inmf = inmf
        self.seed = seed

    def rng(self) -> np.random.Generator:
        """The same generator each time."""
        return np.random.default_rng(self.seed)

    def world(self) -> World:
        """A world of the emulator's own form, without events.

        Raises:
            NotStatedError: if there is none.
        """
        made = self.inmf.world(SITE, WorldSeed(self.seed, PLVN, constant=True))
        if made is None:
            raise NotStatedError("only sources that bring the fields themselves serve it")
        return made

    def emulator(self) -> Emulator:
        """The expert's emulator.

        Raises:
            NotStatedError: if there is none.
        """
        made = self.inmf.emulator(SITE)
        if made is None:
            raise NotStatedError("the paper's loop on true trajectories alone")
        return made

    def calibration(self) -> Calibration:
        """The calibration.

        Raises:
            NotStatedError: if there is none.
        """
        if self.inmf.calibration is None:
            raise NotStatedError("the watch falls back to the residual of rewards")
        return self.inmf.calibration

    def batch(self, seed: int = 0) -> EpisodeBatch:
        """Emulated episodes."""
        return self.emulator().draw(EPISODES, np.random.default_rng([self.seed, seed]))

    @cached_property
    def slots(self) -> list[tuple[Row, Row]]:
        """Rows before and after acting by the rule, over two episodes of a world."""
        return play_world(self.inmf, self.world(), 2 * self.inmf.spec.slots, self.rng())

    @cached_property
    def columns(self) -> Columns:
        """The slots as columns."""
        return as_columns([{**before, **after} for before, after in self.slots])

    @cached_property
    def seen(self) -> Columns:
        """Measured and remembered fields: of a world, or drawn within limits if there is none."""
        try:
            return self.columns
        except NotStatedError:
            return drawn_rows(self.inmf, DRAWN_ROWS, self.rng())

    @cached_property
    def posterior(self) -> Posterior:
        """Hidden parameters from the simulated slots."""
        calibration = self.calibration()
        nothing_known = calibration.prior(1, self.rng())[:0]
        return calibration.fit(self.columns, nothing_known, self.rng())

    @cached_property
    def best(self) -> Array | None:
        """The best hidden parameters, (1, h); None where nothing is calibrated."""
        return None if self.inmf.calibration is None else self.posterior.best[None]

    def replay(self) -> Replayed:
        """The simulated slots under the best hidden parameters, to try other actions on.

        Raises:
            NotStatedError: if the emulator does not replay.
        """
        made = self.emulator().replay(self.columns, self.best)
        if made is None:
            raise NotStatedError("candidates are judged on emulated episodes alone")
        return made

    def done(self, batch: EpisodeBatch) -> tuple[Actions, Array]:
        """Actions and rewards of the simulated slots that a replay holds."""
        slots, episodes = self.inmf.spec.slots, batch.episodes
        newest = slice(len(self.columns[REWARD]) - episodes * slots, None)
        actions = self.columns[ACTION][newest].reshape(episodes, slots, -1)
        rewards = self.columns[REWARD][newest].reshape(episodes, slots)
        return as_actions(self.inmf, actions), rewards

    def policies(self, observation_dim: int) -> Mapping[str, Policy]:
        """Random play and networks with random weights."""
        made: dict[str, Policy] = {}
        for seed in range(3):
            rng = np.random.default_rng([self.seed, seed])
            made[f"random play {seed}"] = random_policy(self.inmf, rng)
            made[f"random network {seed}"] = random_network(self.inmf, observation_dim, rng)
        return made


def traffic_of(slot: int, slot_s: float, rng: np.random.Generator) -> Traffic:
    """Generic columns of a slot, with every number that a source may have."""
    present = rng.random(LINKS) < 0.9
    return Traffic(
        slot=slot,
        sim_time_s=slot * slot_s,
        hour=8.0 + slot * slot_s / 3600.0,
        activity=0.8,
        human_driven=10.0,
        vehicle_number=16,
        mean_speed_share=0.7,
        link_objects=rng.integers(2, 10, LINKS).astype(float),
        link_distance_m=rng.uniform(5.0, 75.0, LINKS),
        link_present=present,
    )


def play_world(
    inmf: Inmf, world: World, slots: int, rng: np.random.Generator, policy: Policy | None = None
) -> list[tuple[Row, Row]]:
    """Rows before and after acting, by a policy or by the rule."""
    memory, rule = inmf.first_memory(), inmf.rule()
    rows: list[tuple[Row, Row]] = []
    for slot in range(slots):
        row = {**world.measure(traffic_of(slot, inmf.spec.slot_s, rng)), **memory}
        if policy is None:
            rule, action = rule.decide(row)
        else:
            one = {name: np.asarray(values)[None] for name, values in row.items()}
            action = policy(inmf.observe(one))[0]
        outcome = world.act(inmf.admissible(row, action))
        rule = rule.after(outcome)
        memory = inmf.remember(row, outcome)
        rows.append((row, outcome))
    return rows


def as_columns(rows: list[dict[str, Array]]) -> Columns:
    """Rows of slots as columns."""
    return {name: np.stack([np.asarray(row[name], float) for row in rows]) for name in rows[0]}


def as_actions(inmf: Inmf, values: Array) -> Actions:
    """Actions of their own kind from a column of numbers."""
    match inmf.spec.actions:
        case MultiBinary():
            return values > 0.5
        case Discrete():
            return values.astype(np.int64)
        case Box():
            return values.astype(np.float32)


def drawn_rows(inmf: Inmf, count: int, rng: np.random.Generator) -> Columns:
    """Measured and remembered fields within their limits."""
    return {
        each.name: rng.uniform(
            max(each.low, -LARGEST_DRAWN), min(each.high, LARGEST_DRAWN), (count, *each.shape)
        ).round(0 if each.unit == "flag" else 6)
        for each in (*inmf.measured, *inmf.remembered)
    }


def require_actions(inmf: Inmf, actions: Actions, shape: tuple[int, ...]) -> None:
    """Actions have a shape and lie in the action space."""
    space = inmf.spec.actions
    values = np.asarray(actions, float)
    require(values.shape == shape, f"actions {values.shape} must be {shape}")
    match space:
        case MultiBinary():
            inside = bool(np.isin(values, (0.0, 1.0)).all())
        case Discrete():
            whole = (values == np.floor(values)) & (values >= 0) & (values < space.choices)
            inside = bool(whole.all())
        case Box():
            low, high = np.asarray(space.low), np.asarray(space.high)
            inside = bool(((values >= low - 1e-6) & (values <= high + 1e-6)).all())
    require(inside, f"an action lies outside {space}")


def random_policy(inmf: Inmf, rng: np.random.Generator) -> Policy:
    """Draws any action with the same probability."""

    def choose(observations: Observation) -> Actions:
        return random_actions(inmf, observations.shape[:-1], rng)

    return choose


def random_actions(inmf: Inmf, shape: tuple[int, ...], rng: np.random.Generator) -> Actions:
    """Actions (*shape, action_dim)."""
    match inmf.spec.actions:
        case MultiBinary(size):
            return rng.random((*shape, size)) < 0.5
        case Discrete(choices):
            return rng.integers(0, choices, (*shape, 1))
        case Box(low, high):
            return rng.uniform(low, high, (*shape, len(low))).astype(np.float32)


def random_network(inmf: Inmf, observation_dim: int, rng: np.random.Generator) -> Policy:
    """Greedy play of a network with one hidden layer and random weights."""
    space = inmf.spec.actions
    outputs = space.choices if isinstance(space, Discrete) else space.width
    hidden = rng.normal(0.0, 1.0, (observation_dim, 32))
    last = rng.normal(0.0, 1.0, (32, outputs))

    def choose(observations: Observation) -> Actions:
        signal = np.tanh(observations @ hidden) @ last
        match space:
            case MultiBinary():
                return np.asarray(signal >= 0.0)
            case Discrete():
                return np.asarray(signal.argmax(axis=-1)[..., None])
            case Box(low, high):
                return np.asarray(np.clip(signal, low, high), np.float32)

    return choose


def play(batch: EpisodeBatch, policy: Policy) -> Actions:
    """Actions (episodes, slots, action_dim) of a policy, slot by slot."""
    memory, chosen = batch.first_memory(), []
    for slot in range(batch.spec.slots):
        chosen.append(policy(batch.observe(slot, memory)))
        memory = batch.remember(slot, memory, chosen[-1])
    return np.stack(chosen, axis=1)
