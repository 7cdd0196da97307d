"""Playing back finds what went another way, in effects and in jobs, and where."""

from dataclasses import replace

import numpy as np

from tests.support.walker import Halve, Walker
from twintier.protocol.tensors import Tensors
from twintier.runtime.core import Input, JobDone, JobFailed, Observed, Started
from twintier.runtime.effects import StartJob
from twintier.runtime.recording.recorder import Step
from twintier.runtime.recording.replay import difference, replay

INPUTS: list[Input] = [
    Started(),
    Observed(None),  # starts job/1
    Observed(None),
    JobDone("job/1", {"half": 0.5}),
    Observed(None),  # starts job/3
    Observed(None),  # raises
    JobFailed("job/3", "the worker died"),
    Observed(None),  # starts job/5, which never ends
]


def recorded() -> list[Step]:
    core, steps = Walker(), []
    for number, taken in enumerate(INPUTS):
        try:
            steps.append(Step(float(number), taken, tuple(core.receive(taken, float(number))), ""))
        except ValueError as error:
            steps.append(Step(float(number), taken, (), repr(error)))
    return steps


def test_the_same_core_has_equal_effects_and_its_jobs_equal_results() -> None:
    outcome = replay(Walker(), iter(recorded()), run_jobs=True)
    assert outcome.difference is None
    assert outcome.steps == len(INPUTS)
    assert (outcome.jobs_compared, outcome.jobs_failed, outcome.jobs_open) == (1, 1, 1)


def test_a_changed_core_is_found_with_step_and_place() -> None:
    changed = Walker()
    changed.step = 2
    outcome = replay(changed, iter(recorded()))
    assert outcome.steps == 1
    found = outcome.difference
    assert found is not None
    assert (found.index, found.now, found.taken) == (1, 1.0, Observed(None))
    assert found.reason == "effects.0.message.slot_first: 1 became 2"


def test_an_error_that_is_raised_no_more_is_a_difference() -> None:
    mended = Walker()
    mended.slot = 1  # so the fourth slot comes one step too early
    steps = [step for step in recorded() if isinstance(step.taken, Observed)][3:]
    outcome = replay(mended, iter(steps))
    assert outcome.difference is not None
    assert outcome.difference.reason == "raised nothing instead of ValueError('slot 4')"


def test_a_job_that_computes_something_else_is_found() -> None:
    steps = recorded()
    steps[3] = replace(steps[3], taken=JobDone("job/1", {"half": 0.5001}))
    assert replay(Walker(), iter(steps)).difference is None  # effects are as they were
    outcome = replay(Walker(), iter(steps), run_jobs=True)
    assert outcome.steps == 3
    assert outcome.difference is not None
    assert outcome.difference.reason == "job job/1: result.half: 0.5001 became 0.5"


def test_jobs_of_one_key_end_in_the_order_in_which_they_began() -> None:
    class Quiet(Walker):
        def receive(self, event: Input, now: float) -> list[StartJob]:
            return [StartJob("k", Halve(now))] if isinstance(event, Observed) else []

    core, steps = Quiet(), []
    for now, taken in (
        (2.0, Observed(None)),
        (4.0, Observed(None)),
        (5.0, JobDone("k", {"half": 1.0})),
        (6.0, JobDone("k", {"half": 2.0})),
        (7.0, JobDone("k", {"half": 2.0})),
    ):
        steps.append(Step(now, taken, tuple(core.receive(taken, now)), ""))
    outcome = replay(core, iter(steps), run_jobs=True)
    assert outcome.jobs_compared == 2
    assert outcome.difference is not None
    assert outcome.difference.reason == "job k ended but was never started"


def test_numbers_may_differ_by_a_millionth_and_no_more() -> None:
    assert difference((1.0, "a"), (1.0 + 1e-7, "a")) == ""
    assert difference((1.0, "a"), (1.1, "a")) == "effects.0: 1.0 became 1.1"
    assert difference(float("nan"), float("nan")) == ""
    assert difference(1, 1.0) == "effects: int became float"
    assert difference([1], [1, 2]) == "effects: parts [0] became [0, 1]"
    one, other = np.zeros(3), np.zeros(3)
    other[1] = 0.5
    assert difference(one, other) == "effects: values differ by up to 0.5"
    assert difference(one, np.zeros(4)) == "effects: (3,) float64 became (4,) float64"
    close = Tensors.pack({"a": np.ones(2) + 1e-7}), Tensors.pack({"a": np.ones(2)})
    assert difference(*close) == ""
