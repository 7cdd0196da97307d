"""Small INMFs for tests: two tasks, each of which is offloaded in a slot or not."""

from dataclasses import dataclass, replace

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Columns, Inmf, Row, Rule, Site
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Field, InmfSpec, Mlp, MultiBinary, Observation, Windows
from twintier.inmf.traffic import Traffic, WorldSeed

SPEC = InmfSpec(
    inmf="toy",
    observation_dim=4,
    actions=MultiBinary(2),
    slots=4,
    slot_s=1.0,
    gamma=0.9,
    gae_lambda=0.3,
    network=Mlp((3,)),
    reward_unit="1",
    windows=Windows(batch=3, performance=4, telemetry=2),
)


@dataclass(frozen=True)
class ToyRule:
    """Offloads the tasks above a limit, which falls with each slot that was late."""

    limit: float = 5.0

    def decide(self, row: Row) -> tuple["ToyRule", Actions]:
        return self, row["load"] > self.limit

    def after(self, outcome: Row) -> "ToyRule":
        return ToyRule(self.limit - float(outcome["late"]))


class ToyWorld:
    """Loads count up with slots; the reward is the number of tasks that were offloaded."""

    def measure(self, traffic: Traffic) -> Row:
        return {"load": np.array([traffic.slot % 10, 9.0])}

    def act(self, action: Actions) -> Row:
        return {
            ACTION: action.astype(float),
            REWARD: np.array(float(action.sum())),
            "late": np.array(float(action.all())),
        }

    def truth(self, traffic: Traffic) -> str:
        return f"slot {traffic.slot}"


class ToyInmf(Inmf):
    measured = (
        Field("load", "1", (2,), 0.0, 10.0),
        Field("free_hz", "Hz", low=0.0, nullable=True),
    )
    remembered = (Field("before", "flag", (2,)),)
    outcome = (Field("late", "flag"), Field("delay_s", "s", nullable=True))
    former_schemas = ("toy-of-old",)

    def __init__(self, spec: InmfSpec = SPEC) -> None:
        self.spec = spec

    def observe(self, rows: Columns) -> Observation:
        return np.concatenate([rows["load"] / 10.0, rows["before"]], axis=-1, dtype=np.float32)

    def rule(self) -> Rule:
        return ToyRule()

    def remember(self, row: Row, outcome: Row) -> Row:
        del row
        return {"before": outcome[ACTION]}

    def world(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> ToyWorld:
        del site, seed, strength
        return ToyWorld()


def toy(name: str = "toy", **changed: object) -> ToyInmf:
    """The toy under another name, or with other sizes."""
    return ToyInmf(replace(SPEC, inmf=name, **changed))  # type: ignore[arg-type]


def sampled() -> ToyInmf:
    """The toy that tests of the loop without an emulator register."""
    return toy("sampled")
