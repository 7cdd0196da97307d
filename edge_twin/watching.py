"""The watch over what acts in one PLVN under one INMF: what it is held against, and when it alarms.

What follows from an alarm is decided in `adaptation.py`. No I/O.
"""

from dataclasses import dataclass

from twintier.edge_twin.cusum import (
    Alarm,
    Block,
    ResidualWatch,
    RewardReference,
    RewardWatch,
    Watch,
)
from twintier.edge_twin.mirror import SlotLog
from twintier.inmf.contract import REWARD, Columns, Inmf, Posterior
from twintier.inmf.spec import Windows
from twintier.protocol.messages import Cause


@dataclass(slots=True)
class Watching:
    """One watch after the other; each begins anew with the model that it watches."""

    inmf: Inmf
    windows: Windows
    watch: Watch

    @classmethod
    def begin(cls, inmf: Inmf, windows: Windows) -> "Watching":
        """Nothing has been seen yet."""
        return cls(inmf, windows, _first_watch(inmf, windows))

    def restart(self) -> None:
        """Forget what was seen, for another model or another calibration acts from now on."""
        self.watch = _first_watch(self.inmf, self.windows)

    @property
    def is_of_residuals(self) -> bool:
        """Whether it is held against a calibration, so that an alarm can be tested."""
        return isinstance(self.watch, ResidualWatch)

    def add(
        self, rows: Columns, posterior: Posterior | None, slot_first: int, sim_time_s: float
    ) -> Alarm | None:
        """Take a block of true slots in.

        Args:
            rows: consecutive slots.
            posterior: the calibration; None only where the INMF has none.
            slot_first: number of the first slot.
            sim_time_s: when the last one ended.
        """
        alarm = None
        match self.watch:
            case ResidualWatch() as watch:
                calibration = self.inmf.calibration
                assert calibration is not None, "residuals are watched where there is a calibration"
                assert posterior is not None, "the first slots calibrate before any is watched"
                block = Block.of(rows, calibration, posterior, slot_first, sim_time_s)
                self.watch, alarm = watch.update(block)
            case RewardReference() as reference:
                self.watch = reference.add(float(rows[REWARD].mean()))
            case RewardWatch() as watch_of_rewards:
                reward = float(rows[REWARD].mean())
                self.watch, alarm = watch_of_rewards.update(reward, slot_first, sim_time_s)
        return alarm

    def first_calibration(self, log: SlotLog, threshold: float, sim_time_s: float) -> Alarm | None:
        """A made-up alarm in the middle of the first slots after a restart, once they suffice.

        Its test fits both halves together, and unless they differ that fit is the calibration.
        """
        if log.size < self.windows.exchange:
            return None
        middle = log.chunks[len(log.chunks) // 2][0]
        return Alarm(0.0, threshold, 0, sim_time_s, middle)

    def cause(self, alarm: Alarm) -> Cause:
        """The cause of a retraining that an alarm asks for, once a test has confirmed it."""
        of = "residual" if self.inmf.calibration is not None else "reward"
        return Cause(
            trigger="degradation",
            statistic=f"cusum_{of}",
            value=alarm.value,
            threshold=alarm.threshold,
            reference_n=alarm.reference_n,
            sim_time_s=alarm.sim_time_s,
        )


def _first_watch(inmf: Inmf, windows: Windows) -> Watch:
    """A watch that has seen nothing: of residuals where a calibration predicts rewards."""
    if inmf.calibration is None:
        return RewardReference()
    return ResidualWatch(cool_down_s=windows.cool_down * inmf.spec.slot_s)
