"""The next load of a PLVN, predicted from the two before; the labels are what came."""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Columns, Inmf, Row, Rule, Site
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Box, Field, InmfSpec, Mlp, Observation, Windows
from twintier.inmf.supervised import Labelled, Loss, SquaredError
from twintier.inmf.traffic import Traffic, WorldSeed

HIGHEST = 1.0


@dataclass(frozen=True)
class AsBefore:
    """The next load is the present one."""

    def decide(self, row: Row) -> tuple["AsBefore", Actions]:
        """The newest load."""
        return self, np.asarray(row["loads"][-1:], np.float32)

    def after(self, outcome: Row) -> "AsBefore":
        """Nothing is remembered."""
        del outcome
        return self


class Tide:
    """A load that rises and falls, with a period of each PLVN's own and a little noise."""

    def __init__(self, seed: WorldSeed) -> None:
        self._rng = seed.generator("load-forecast")
        self._period = float(self._rng.uniform(6.0, 12.0))
        self._slot = 0
        self._loads = np.array([self._load(-1), self._load(0)])

    def measure(self, traffic: Traffic) -> Row:
        """The two newest loads."""
        del traffic
        return {"loads": self._loads}

    def act(self, action: Actions) -> Row:
        """The load that came, and how well it was predicted."""
        self._slot += 1
        came = self._load(self._slot)
        self._loads = np.array([self._loads[1], came])
        error = float(action[0]) - came
        reward = np.array(-(error**2))
        return {ACTION: np.asarray(action, float), REWARD: reward, "came": np.array(came)}

    def truth(self, traffic: Traffic) -> str:
        """The period."""
        del traffic
        return f"period {self._period:.1f} slots"

    def _load(self, slot: int) -> float:
        return float(0.5 * np.sin(2 * np.pi * slot / self._period) + self._rng.normal(0.0, 0.01))


class LoadForecast(Inmf):
    """Predict the load of the next slot."""

    spec = InmfSpec(
        inmf="load-forecast",
        observation_dim=2,
        actions=Box((-HIGHEST,), (HIGHEST,)),
        slots=15,
        slot_s=1.0,
        gamma=0.9,
        gae_lambda=0.9,
        network=Mlp((8,)),
        reward_unit="1",
        reward_floor=0.02,
        windows=Windows(batch=15, exchange=60, retrain=30),
    )
    measured = (Field("loads", "1", (2,), -HIGHEST, HIGHEST),)
    outcome = (Field("came", "1", (), -HIGHEST, HIGHEST),)

    @property
    def loss(self) -> Loss:
        """Minus the reward: an output of the network is a load, as limits of 1 make it."""
        return SquaredError()

    def samples(self, true: Columns) -> Labelled:
        """What was seen, and what came."""
        return self.observe(true), np.asarray(true["came"][:, None], np.float32)

    def observe(self, rows: Columns) -> Observation:
        """(n, 2) the two newest loads."""
        return np.asarray(rows["loads"], np.float32)

    def rule(self) -> Rule:
        """The classical rule."""
        return AsBefore()

    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> Tide:
        """A tide of the PLVN's own."""
        del site, strength
        return Tide(seed)
