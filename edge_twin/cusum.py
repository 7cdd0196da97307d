"""Watching a model in force: CUSUM of the emulator's residual, and of the reward alone. Pure.

The residual is observed less predicted reward for the same states and actions, in blocks of slots;
its unit is the noise of a block and the calibration's own spread together. The last zero of the
statistic is the change point.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from twintier.inmf.contract import REWARD, Calibration, Columns, Inmf, Posterior
from twintier.inmf.spec import Array, Windows

ALLOWANCE = 0.7
"""k of the residual's CUSUM, in deviations of a block: above what a calibration is off by."""
THRESHOLD = 8.0
"""h, in deviations of a block."""
REWARD_ALLOWANCE = 0.5
REFERENCE_BLOCKS = 30
"""Blocks of rewards that a watch of rewards needs as its reference; fewer alarm falsely."""
LARGEST_Z = 6.0
"""One block counts this much at most: a single freak slot is no change."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive slots, summed."""

    slot_first: int
    sim_time_s: float
    slots: int
    residual: float
    """Observed less predicted reward, summed."""
    deviation: float
    """What of it noise and calibration explain, one standard deviation."""

    @classmethod
    def of(
        cls,
        true: Columns,
        calibration: Calibration,
        posterior: Posterior,
        slot_first: int,
        sim_time_s: float,
    ) -> "Block":
        """A block of true slots against a calibration; only the slots that say something count.

        Errors of the calibration are alike in all slots of a block, noise is not.
        """
        telling = calibration.informative(true)
        chosen = {name: array[telling] for name, array in true.items()}
        observed = chosen[REWARD]
        if not observed.size:
            return cls(slot_first, sim_time_s, 0, 0.0, 1.0)
        rewards = calibration.predict(chosen, posterior.particles)
        mean, sums = posterior.weights @ rewards, rewards.sum(axis=-1)
        spread = posterior.weights @ (sums - mean.sum()) ** 2
        return cls(
            slot_first,
            sim_time_s,
            int(observed.size),
            float((observed - mean).sum()),
            float(np.sqrt((calibration.deviation(observed) ** 2).sum() + spread)),
        )


@dataclass(frozen=True, slots=True)
class Alarm:
    """The statistic has passed its threshold."""

    value: float
    threshold: float
    reference_n: int
    """Blocks since the watch began."""
    sim_time_s: float
    change_slot: int
    """First slot after the last zero of the statistic."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a CUSUM."""

    value: float = 0.0
    since_slot: int = 0

    def add(self, deviation: float, slot_first: int) -> "Side":
        """The side after a block; at zero, the next block's slot is the possible change."""
        value = max(0.0, self.value + deviation)
        if value == 0.0 or self.value == 0.0:
            return Side(value, slot_first)
        return replace(self, value=value)


@dataclass(frozen=True, slots=True)
class ResidualWatch:
    """Two-sided CUSUM over blocks; each update gives a new watch."""

    up: Side = field(default_factory=Side)
    down: Side = field(default_factory=Side)
    blocks: int = 0
    quiet_until_s: float = 0.0
    cool_down_s: float = 375.0
    """Simulated time without a second alarm."""

    def update(self, block: Block) -> tuple["ResidualWatch", Alarm | None]:
        """Take a block in; an alarm starts the statistic anew after a cool-down."""
        if not block.slots:
            return self, None
        z = float(np.clip(block.residual / block.deviation, -LARGEST_Z, LARGEST_Z))
        up = self.up.add(z - ALLOWANCE, block.slot_first)
        down = self.down.add(-z - ALLOWANCE, block.slot_first)
        blocks = self.blocks + 1
        worst = max(up, down, key=lambda side: side.value)
        if worst.value <= THRESHOLD or block.sim_time_s < self.quiet_until_s:
            return replace(self, up=up, down=down, blocks=blocks), None
        alarm = Alarm(worst.value, THRESHOLD, blocks, block.sim_time_s, worst.since_slot)
        quiet_until_s = block.sim_time_s + self.cool_down_s
        anew = replace(self, up=Side(), down=Side(), blocks=blocks, quiet_until_s=quiet_until_s)
        return anew, alarm


@dataclass(frozen=True, slots=True)
class RewardWatch:
    """One-sided CUSUM of falling reward, for an INMF that no calibration predicts."""

    mean: float
    """Mean reward of the reference blocks."""
    deviation: float
    """Their deviation, already inflated by sqrt((1 + a)/(1 - a)) for lag-1 correlation a."""
    reference_n: int
    down: Side = field(default_factory=Side)

    @classmethod
    def of(cls, rewards: Array) -> "RewardWatch":
        """A watch with these blocks after adaptation as reference, (n,) mean rewards.

        Raises:
            ValueError: if there are fewer than 30, below which alarms are mostly false.
        """
        count = int(rewards.size)
        if count < REFERENCE_BLOCKS:
            raise ValueError(
                f"{count} reference blocks are too few; wait for {REFERENCE_BLOCKS} or more"
            )
        centred = rewards - rewards.mean()
        variance = float((centred**2).mean())
        lag = float((centred[1:] * centred[:-1]).mean()) / variance if variance else 0.0
        lag = float(np.clip(lag, 0.0, 0.95))
        deviation = np.sqrt(variance * (1 + lag) / (1 - lag))
        return cls(float(rewards.mean()), float(max(deviation, 1e-9)), count)

    def update(
        self, reward: float, slot_first: int, sim_time_s: float
    ) -> tuple["RewardWatch", Alarm | None]:
        """Take a block's mean reward in."""
        z = (self.mean - reward) / self.deviation
        down = self.down.add(min(z, LARGEST_Z) - REWARD_ALLOWANCE, slot_first)
        if down.value <= THRESHOLD:
            return replace(self, down=down), None
        alarm = Alarm(down.value, THRESHOLD, self.reference_n, sim_time_s, down.since_slot)
        return replace(self, down=Side()), alarm


@dataclass(frozen=True, slots=True)
class RewardReference:
    """Mean rewards of the first blocks under a model, until they are enough for a watch."""

    rewards: tuple[float, ...] = ()

    def add(self, reward: float) -> "RewardReference | RewardWatch":
        """One more block."""
        rewards = (*self.rewards, reward)
        if len(rewards) < REFERENCE_BLOCKS:
            return RewardReference(rewards)
        return RewardWatch.of(np.asarray(rewards))


Watch = ResidualWatch | RewardReference | RewardWatch


def watch_of(inmf: Inmf, windows: Windows) -> Watch:
    """A watch that has seen nothing: of residuals where a calibration predicts rewards."""
    if inmf.calibration is None:
        return RewardReference()
    return ResidualWatch(cool_down_s=windows.cool_down * inmf.spec.slot_s)
