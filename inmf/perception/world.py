"""The physical side of cooperative perception in one simulated PLVN.

From what a source shows of the traffic it makes what a PLVN measures, and it says what modes were
worth under a hidden condition that only it knows. It must stay other code than the emulator; both
share the physics of radio and computing, and at a strength above 0 this one has two more effects:
signals fade faster beyond some distance, and retransmissions take bandwidth from loaded pairs.
"""

import numpy as np

from twintier.inmf.contract import ACTION, REWARD, Row, Site
from twintier.inmf.episodes import Actions
from twintier.inmf.perception.condition import Condition, stack
from twintier.inmf.perception.events import ConditionEvent, ConditionSchedule, start_condition
from twintier.inmf.perception.live import PAIRS, outcome
from twintier.inmf.perception.physics import Physics, physics_of
from twintier.inmf.spec import Array, Mask
from twintier.inmf.traffic import Traffic, WorldSeed

RADIO_HZ = 10e6
"""What human-driven vehicles and pairs share."""
HDV_HZ = 0.5e6
"""What one active human-driven vehicle takes."""
MOST_HDVS = 10
"""More do not get through: the radio leaves at least 5 MHz to pairs."""
SPREAD_HZ = 0.3e6
"""Deviation of the bandwidth left around an average activity."""
REWARD_NOISE_J = 0.35
"""Deviation of a measured reward from the true one, per slot (assumed)."""
SECOND_REGIME_M = 40.0
"""Distance beyond which signals fade faster where the strength is not 0 (assumed)."""
CONGESTION = 0.3
"""Share of the bandwidth that retransmissions take at strength 1, all human-driven vehicles active
and all pairs loaded (assumed)."""
FULL_LOAD = 24.0
"""Objects of all cooperating pairs that load them fully (assumed)."""
NOISE_DB = {"toronto": 1.0, "vancouver": 5.0}
"""Rise of the noise floor in cities that have a known one (assumed: within the prior); drawn from
the prior elsewhere."""


class MeasuredTwiceError(Exception):
    """A slot was acted in twice, or before it was measured: a fault of the caller."""


class PerceptionWorld:
    """Measures and carries out slots; remembers modes, because changing them costs."""

    def __init__(self, site: Site, seed: WorldSeed, *, strength: float = 0.0) -> None:
        """Begin with every pair in SP.

        Args:
            site: of the PLVN.
            seed: what everything random follows from.
            strength: of effects that the emulator does not know, from 0 to 1.

        Raises:
            ValueError: if the strength is not within 0 and 1.
        """
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength {strength} of effects must be within 0 and 1")
        self._strength = strength
        start = start_condition(seed, NOISE_DB.get(site.city))
        self._schedule = ConditionSchedule(seed, start)
        self._radio = seed.generator("radio")
        self._noise = seed.generator("noise")
        self._physics: tuple[Condition, Physics] = (start, physics_of(stack([start])[0]))
        self._modes: Mask = np.zeros(PAIRS, bool)
        self._measured: tuple[Traffic, Row] | None = None
        """The slot that was not acted in yet."""

    def measure(self, traffic: Traffic) -> Row:
        """Bandwidth left () Hz, and of each pair (3,) its objects, distance in m and presence."""
        row = {
            "bandwidth_hz": np.array(self._bandwidth_hz(traffic)),
            "objects": _pairs(traffic.link_objects),
            "distance_m": _pairs(traffic.link_distance_m),
            "present": _pairs(traffic.link_present),
        }
        self._measured = (traffic, row)
        return row

    def act(self, action: Actions) -> Row:
        """Carry out modes (3,) in the slot measured last; absent pairs have none.

        Returns:
            `action` (3,) as carried out, `reward` () J, `infeasible` () flag, `mode_changes` ().

        Raises:
            MeasuredTwiceError: if no slot was measured since the last call.
        """
        if self._measured is None:
            raise MeasuredTwiceError("modes were carried out already; measure each slot before")
        (traffic, row), self._measured = self._measured, None
        present = row["present"] > 0.5
        modes = np.asarray(action, bool) & present
        result = outcome(
            self._physics_at(traffic.sim_time_s),
            self._usable_hz(traffic, row, modes),
            row["objects"],
            self._faded_m(row["distance_m"]),
            present,
            modes_before=self._modes,
            modes=modes,
        )
        changes = np.sum(self._modes != modes)
        self._modes = modes
        return {
            ACTION: modes.astype(np.float64),
            REWARD: result.reward_j + self._noise.normal(0.0, REWARD_NOISE_J),
            "infeasible": result.infeasible.astype(np.float64),
            "mode_changes": changes.astype(np.float64),
        }

    def truth(self, traffic: Traffic) -> str:
        """The event that holds."""
        past = self.events_until(traffic.sim_time_s)
        return past[-1].name if past else "normal"

    def condition_at(self, sim_time_s: float) -> Condition:
        """The hidden condition at this time."""
        return self._schedule.condition_at(sim_time_s)

    def events_until(self, sim_time_s: float) -> tuple[ConditionEvent, ...]:
        """The events up to and including this time, in order."""
        return self._schedule.events_until(sim_time_s)

    def _bandwidth_hz(self, traffic: Traffic) -> float:
        """What human-driven vehicles leave.

        Vehicles that were counted transmit each for itself, with the probability that the hour
        gives. Where a source has no vehicles and gives an average only, the radio's usual spread
        stands around it.
        """
        driven = min(traffic.human_driven or 0, MOST_HDVS)
        if isinstance(driven, int):
            return RADIO_HZ - HDV_HZ * float(self._radio.binomial(driven, traffic.activity))
        mean_hz = RADIO_HZ - HDV_HZ * driven * traffic.activity
        return max(0.0, float(self._radio.normal(mean_hz, SPREAD_HZ)))

    def _usable_hz(self, traffic: Traffic, row: Row, modes: Mask) -> Array:
        """The bandwidth () that retransmissions leave: they grow with what pairs have to send."""
        load = min(float(row["objects"][modes].sum()) / FULL_LOAD, 1.0)
        lost = self._strength * CONGESTION * traffic.activity * load
        return np.asarray(row["bandwidth_hz"] * (1.0 - lost))

    def _faded_m(self, distance_m: Array) -> Array:
        """Distances (3,) with the same path loss in one regime; beyond the second it is steeper."""
        beyond = np.maximum(distance_m / SECOND_REGIME_M, 1.0)
        return np.asarray(distance_m * beyond**self._strength)

    def _physics_at(self, sim_time_s: float) -> Physics:
        condition = self.condition_at(sim_time_s)
        if condition != self._physics[0]:
            self._physics = (condition, physics_of(stack([condition])[0]))
        return self._physics[1]


def _pairs(links: Array | Mask) -> Array:
    """The first three links, (3,) float64; rows without a link are 0."""
    rows = np.zeros(PAIRS)
    rows[: len(links)] = links[:PAIRS]
    return rows
