"""What an operator puts around the parts of a process: a recording of its core, faults."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.bus import Bus
from twintier.broker.clock import Clock
from twintier.broker.faulty import Faults, FaultyBus, skewed
from twintier.protocol.messages import HealthReported
from twintier.runtime.core import Core
from twintier.runtime.recording.recorder import RecordedCore
from twintier.runtime.runtime import Runtime

PREFIX = "injected."


@dataclass(frozen=True, slots=True)
class Instruments:
    """Of all processes of a deployment."""

    recordings: Path | None = None
    """Folder for recordings of what each core is given, if they are wanted."""
    faults: Faults | None = None

    def core(self, core: Core, incarnation: str) -> Core:
        """The core, recorded if that is wanted, in a file of its identity and incarnation.

        Raises:
            RecordingError: if this core cannot be recorded, or the file cannot be made.
        """
        if self.recordings is None:
            return core
        return RecordedCore(core, self.recordings / f"{core.id}-{incarnation}.inbox")

    def bus(self, bus: Bus, name: str) -> Bus:
        """The bus of an identity, failing as was asked for."""
        return bus if self.faults is None else FaultyBus(bus, self.faults, name)

    def clock(self, clock: Clock, name: str) -> Clock:
        """The clock of an identity, as wrong as was asked for."""
        return clock if self.faults is None else skewed(clock, self.faults, name)


def make_instruments(recordings: Path | None, inject: str) -> Instruments:
    """Instruments as they are asked for on a command line.

    Raises:
        LocalBusError: if the faults cannot be read.
    """
    return Instruments(recordings, Faults.parse(inject) if inject else None)


def count_faults(buses: Iterable[Bus], runtime: Runtime) -> None:
    """Let a runtime report the faults of its buses among its counters."""
    for bus in buses:
        if isinstance(bus, FaultyBus):
            bus.on_fault = lambda kind: runtime.meter.counts.update([PREFIX + kind])


def injected(reports: Iterable[HealthReported]) -> dict[str, int]:
    """Faults by kind over the newest report of each process; empty if none was injected."""
    found: dict[str, int] = {}
    for report in reports:
        for counter in report.counters:
            kind = counter.name.removeprefix(PREFIX)
            if kind != counter.name:
                found[kind] = found.get(kind, 0) + counter.count
    return dict(sorted(found.items()))
