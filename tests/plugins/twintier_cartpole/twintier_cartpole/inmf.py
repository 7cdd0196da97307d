"""Gymnasium's cart and pole, as the platform's contract wants an INMF stated.

Spec, fields, observation and rule, and nothing that may be left out: no emulator, calibration,
teacher, bound or world. It is learned from true slots alone.
"""

from dataclasses import dataclass

import numpy as np

from twintier.inmf.contract import Columns, Inmf, Row, Rule
from twintier.inmf.episodes import Actions
from twintier.inmf.spec import Discrete, Field, InmfSpec, Mlp, Observation, Windows

X_M, ANGLE_RAD = 2.4, 0.2095
"""Where the environment ends an episode."""
FASTEST = 10.0
"""Speeds are reported within this."""
LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class PushTowardsTheLean:
    """Push to the side that the pole leans to, whatever else is known: it has no settings."""

    def decide(self, row: Row) -> tuple["PushTowardsTheLean", Actions]:
        """Push right where the pole leans to the right."""
        leans_right = float(row["angle_rad"]) > 0.0
        return self, np.array([RIGHT if leans_right else LEFT])

    def after(self, outcome: Row) -> "PushTowardsTheLean":
        """Nothing is remembered."""
        del outcome
        return self


class CartPole(Inmf):
    """Keep a pole upright on a cart, near the middle of its track."""

    spec = InmfSpec(
        inmf="cart-pole",
        observation_dim=4,
        actions=Discrete(2),
        slots=75,
        slot_s=0.02,
        gamma=0.95,
        gae_lambda=0.9,
        network=Mlp((16,)),
        reward_unit="1",
        reward_floor=0.1,
        windows=Windows(
            batch=75,
            exchange=450,
            retrain=75,
            calibration=450,
            cool_down=750,
            performance=300,
            telemetry=25,
        ),
    )
    measured = (
        Field("position_m", "m", low=-X_M, high=X_M),
        Field("speed_mps", "m/s", low=-FASTEST, high=FASTEST),
        Field("angle_rad", "rad", low=-ANGLE_RAD, high=ANGLE_RAD),
        Field("turning_radps", "rad/s", low=-FASTEST, high=FASTEST),
    )
    outcome = (Field("fell", "flag"),)

    def observe(self, rows: Columns) -> Observation:
        """(n, 4): each quantity in about its usual range."""
        seen = [
            rows["position_m"] / X_M,
            rows["speed_mps"],
            rows["angle_rad"] / ANGLE_RAD * 2.0,
            rows["turning_radps"],
        ]
        return np.stack(seen, axis=-1).clip(-5.0, 5.0).astype(np.float32)

    def rule(self) -> Rule:
        """The classical rule."""
        return PushTowardsTheLean()
