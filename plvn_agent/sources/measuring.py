"""What a source measures: the true reward under a hidden condition, and noise."""

import numpy as np

from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.emulator import REWARD_NOISE_J
from twintier.inmf.perception.live import PAIRS, outcome
from twintier.inmf.perception.physics import Physics, physics_of
from twintier.inmf.trajectory import Mask
from twintier.plvn_agent.source import SlotMeasured, SlotObserved
from twintier.plvn_agent.sources.conditions import ConditionSchedule


class MeasuredTwiceError(Exception):
    """The modes of a slot were carried out already: a fault of the caller."""


class HiddenReward:
    """Measures the slots of one PLVN; remembers modes, because changing them costs."""

    def __init__(self, schedule: ConditionSchedule, rng: np.random.Generator) -> None:
        """Begin with every pair in SP.

        Args:
            schedule: the hidden condition over time.
            rng: for the noise of measuring.
        """
        self.schedule = schedule
        self._rng = rng
        self._modes: Mask = np.zeros(PAIRS, dtype=bool)
        self._slot = -1
        self._condition: Condition | None = None
        self._physics: Physics = physics_of(stack([Condition()])[0])

    def measure(self, observed: SlotObserved, modes: Mask) -> SlotMeasured:
        """Carry out modes in a slot.

        Args:
            observed: the slot.
            modes: (pairs,) chosen; what it says of absent pairs is ignored.

        Raises:
            MeasuredTwiceError: if this slot or a later one was measured before.
        """
        if observed.slot <= self._slot:
            raise MeasuredTwiceError(
                f"slot {observed.slot} comes after slot {self._slot} was measured; "
                "measure each slot once, in order"
            )
        self._slot = observed.slot
        chosen = modes & observed.present
        result = outcome(
            self._physics_at(observed.sim_time_s),
            observed.bandwidth_hz,
            observed.objects,
            observed.distance_m,
            observed.present,
            modes_before=self._modes,
            modes=chosen,
        )
        self._modes = chosen
        noise_j = float(self._rng.normal(0.0, REWARD_NOISE_J))
        return SlotMeasured(
            slot=observed.slot,
            modes=chosen,
            reward_j=float(result.reward_j) + noise_j,
            infeasible=bool(result.infeasible),
        )

    def _physics_at(self, sim_time_s: float) -> Physics:
        condition = self.schedule.condition_at(sim_time_s)
        if condition != self._condition:
            self._condition = condition
            self._physics = physics_of(stack([condition])[0])
        return self._physics
