"""A core that walks, for recordings: it can be pickled, and a faulty build of it counts double."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.names import COOP_PERCEPTION
from tests.support.toy import performance, status
from twintier.protocol.address import Address
from twintier.protocol.ids import PlvnId
from twintier.runtime.core import Input, JobDone, Observed, Role
from twintier.runtime.effects import Count, Effect, Publish, StartJob, StartTimer

AT = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)


@dataclass(frozen=True)
class Halve:
    number: float
    off: float = 0.0
    """What another machine would add."""

    def run(self) -> object:
        return {"half": self.number / 2 + self.off}


@dataclass
class Walker:
    """Counts its slots, has each second one halved by a job, and fails at the fourth."""

    role: Role = "plvn"
    id: str = "p1"
    step: int = 1
    slot: int = 0

    def receive(self, event: Input, now: float) -> Sequence[Effect]:
        match event:
            case Observed():
                return self._walk(now)
            case JobDone():
                return [Count("halved")]
            case _:
                return [StartTimer("tick", 10.0), Count("other")]

    def _walk(self, now: float) -> Sequence[Effect]:
        self.slot += self.step
        if self.slot == 4:
            raise ValueError("slot 4")
        said = Publish(performance(self.slot), AT, sim_time_s=now)
        return [said, *([StartJob(f"job/{self.slot}", Halve(self.slot))] * (self.slot % 2))]

    def goodbye(self) -> Sequence[Effect]:
        return [Publish(status(self.role, "offline"))]
