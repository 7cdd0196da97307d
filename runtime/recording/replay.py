"""Playing a recording back: the debugging tool of this project.

The same core with the same inputs must have equal effects again, numbers to a millionth. Jobs are
run again beside it, each compared with the result that the core was given then.
"""

import dataclasses
import math
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel

from twintier.protocol.tensors import Tensors
from twintier.runtime.core import Core, Input, JobDone, JobFailed
from twintier.runtime.effects import Effect, Job, StartJob
from twintier.runtime.recording.recorder import Step

TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """Where playing back went another way."""

    index: int
    """Of the step, from 0."""
    now: float
    taken: Input
    reason: str
    """Place in the effects, or in a job's result, and what became what."""


@dataclass(slots=True)
class Replayed:
    """What playing back has shown."""

    steps: int = 0
    """That agreed."""
    jobs_compared: int = 0
    jobs_failed: int = 0
    """That had failed then, such as by the death of a worker; those are not run again."""
    jobs_open: int = 0
    """That had no result when the recording ended."""
    difference: Difference | None = None
    """The first; nothing is played after it."""


def replay(core: Core, steps: Iterator[Step], *, run_jobs: bool = False) -> Replayed:
    """Give a core its recorded inputs.

    Args:
        core: as it was when recording began.
        steps: of the recording.
        run_jobs: whether the recorded jobs are run again, here, one after the other.
    """
    outcome, jobs = Replayed(), _Jobs()
    for index, step in enumerate(steps):
        reason = _play(core, step)
        if not reason and run_jobs:
            reason = jobs.compare(step.taken)
        if reason:
            outcome.difference = Difference(index, step.now, step.taken, reason)
            break
        jobs.start(step.effects)
        outcome.steps += 1
    outcome.jobs_compared, outcome.jobs_failed = jobs.compared, jobs.failed
    outcome.jobs_open = sum(len(waiting) for waiting in jobs.waiting.values())
    return outcome


def _play(core: Core, step: Step) -> str:
    raised, played = "", tuple[Effect, ...]()
    try:
        played = tuple(core.receive(step.taken, step.now))
    except Exception as error:  # noqa: BLE001  # the core's own error, compared with the recorded
        raised = repr(error)
    if raised != step.raised:
        return f"raised {raised or 'nothing'} instead of {step.raised or 'nothing'}"
    return difference(step.effects, played)


@dataclass(slots=True)
class _Jobs:
    """Jobs that a recording has started, by key; those of one key end in their order."""

    waiting: dict[Hashable, deque[Job]] = field(default_factory=lambda: defaultdict(deque))
    compared: int = 0
    failed: int = 0

    def start(self, effects: tuple[Effect, ...]) -> None:
        """Note the jobs among effects."""
        for effect in effects:
            if isinstance(effect, StartJob):
                self.waiting[effect.key].append(effect.job)

    def compare(self, taken: Input) -> str:
        """If the input is a result, run its job again; says where the results differ."""
        if not isinstance(taken, JobDone | JobFailed):
            return ""
        if not self.waiting[taken.key]:
            return f"job {taken.key} ended but was never started"
        job = self.waiting[taken.key].popleft()
        if isinstance(taken, JobFailed):
            self.failed += 1
            return ""
        try:
            again = job.run()
        except Exception as error:  # noqa: BLE001  # a job may raise anything; that is the finding
            return f"job {taken.key} raised {error!r}"
        self.compared += 1
        found = difference(taken.result, again, "result")
        return found and f"job {taken.key}: {found}"


def difference(one: object, other: object, place: str = "effects") -> str:
    """Where two values differ beyond the tolerance; empty if they do not."""
    if isinstance(one, Tensors) and isinstance(other, Tensors):
        return difference(one.unpack(), other.unpack(), place)
    if type(one) is not type(other):
        return f"{place}: {type(one).__name__} became {type(other).__name__}"
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        same = close or (math.isnan(one) and math.isnan(other))
        return "" if same else f"{place}: {one} became {other}"
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return _array_difference(one, other, place)
    parts, others = _parts(one), _parts(other)
    if parts is None or others is None:
        return "" if one == other else f"{place}: {one!r} became {other!r}"[:300]
    both = [key for key in parts if key in others]
    found = (difference(parts[key], others[key], f"{place}.{key}") for key in both)
    if parts.keys() == others.keys():
        return next(filter(None, found), "")
    return next(filter(None, found), f"{place}: parts {list(parts)} became {list(others)}"[:300])


def _array_difference(one: np.ndarray, other: np.ndarray, place: str) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{place}: {one.shape} {one.dtype} became {other.shape} {other.dtype}"
    if one.dtype.kind not in "fc":
        return "" if np.array_equal(one, other) else f"{place}: other values"
    if np.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        return ""
    return f"{place}: values differ by up to {np.nanmax(np.abs(one - other))}"


def _parts(value: object) -> Mapping[object, object] | None:
    """What a value is made of; None if it is compared as a whole."""
    if isinstance(value, BaseModel):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    return None
