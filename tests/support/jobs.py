"""Jobs for tests of workers; importable there, so that they can be pickled."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Square:
    number: int

    def run(self) -> object:
        return self.number**2


@dataclass(frozen=True)
class Raise:
    reason: str

    def run(self) -> object:
        raise ValueError(self.reason)


@dataclass(frozen=True)
class Die:
    def run(self) -> object:
        os.kill(os.getpid(), signal.SIGKILL)
        return None


@dataclass(frozen=True)
class Note:
    """Adds its name to a file: shows the order in which jobs ran."""

    path: Path
    name: str

    def run(self) -> object:
        with self.path.open("a") as file:
            file.write(f"{self.name}\n")
        return None


@dataclass(frozen=True)
class WaitForFile:
    """Ends when a file appears."""

    path: Path

    def run(self) -> object:
        while not self.path.exists():
            os.sched_yield()
        return None


@dataclass(frozen=True)
class Environment:
    def run(self) -> object:
        return os.environ.get("OMP_NUM_THREADS"), os.nice(0), os.getpid()


@dataclass(frozen=True)
class Unpicklable:
    def run(self) -> object:
        return lambda: None
