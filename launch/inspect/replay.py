"""`twintier recording replay`: give a core its inputs again, and say where it goes another way."""

import json
import time
from pathlib import Path

from twintier.cloud_twin.core import CloudCore
from twintier.edge_twin.core import EdgeCore
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.old_keys import with_present_keys
from twintier.launch.inspect.recorded import clock
from twintier.launch.problems import Problem, say
from twintier.plvn_agent.core import AgentCore
from twintier.runtime.core import Core, Input, JobDone, JobFailed, Received, TimerFired
from twintier.runtime.recording.recorder import (
    OtherRecordingError,
    RecordingError,
    read_beginning,
    read_steps,
)
from twintier.runtime.recording.replay import Replayed, replay


def run_replay(path: Path, *, verify: bool, as_json: bool) -> int:
    """Play a recording.

    Args:
        path: of the recording.
        verify: whether its jobs are run again too.
        as_json: whether the outcome is printed for machines.
    """
    began = time.monotonic()
    try:
        core = _core(path)
        outcome = replay(core, with_present_keys(core.role, read_steps(path)), run_jobs=verify)
    except OtherRecordingError as error:
        return say(_of_another_release(path, error), ExitCode.OTHER_RELEASE)
    except (RecordingError, OSError) as error:
        return say(error, ExitCode.USAGE)
    fields = as_fields(core, outcome)
    if as_json:
        print(json.dumps(fields, indent=2))
    else:
        _print(core, outcome, time.monotonic() - began, verify=verify)
    return ExitCode.OK if outcome.difference is None else ExitCode.DIFFERENT


def _core(path: Path) -> CloudCore | EdgeCore | AgentCore:
    core = read_beginning(path).core
    if isinstance(core, CloudCore | EdgeCore | AgentCore):
        return core
    raise RecordingError(
        f"{path} begins with a {type(core).__name__}, which is no core of the platform"
    )


def _of_another_release(path: Path, error: OtherRecordingError) -> Problem:
    return Problem(
        f"{path} was recorded by another release, whose core had other parts",
        f"it cannot be played again: {error.reason}",
        f"twintier recording show {path} (or play it with the release that wrote it)",
    )


def as_fields(core: Core, outcome: Replayed) -> dict[str, object]:
    """The outcome as plain values."""
    found = outcome.difference
    first = found and {
        "step": found.index,
        "at": clock(found.now),
        "input": name_of(found.taken),
        "reason": found.reason,
    }
    return {
        "role": core.role,
        "id": core.id,
        "steps": outcome.steps,
        "jobs_compared": outcome.jobs_compared,
        "jobs_failed": outcome.jobs_failed,
        "jobs_open": outcome.jobs_open,
        "difference": first,
    }


def name_of(taken: Input) -> str:
    """An input in a few words."""
    match taken:
        case Received(message=message, envelope=envelope):
            return f"{type(message).__name__} from {envelope.src}, number {envelope.seq}"
        case TimerFired(key=key) | JobDone(key=key) | JobFailed(key=key):
            return f"{type(taken).__name__} {key}"
        case _:
            return type(taken).__name__


def _print(core: Core, outcome: Replayed, wall_s: float, *, verify: bool) -> None:
    jobs = "jobs were not run again"
    if verify:
        jobs = (
            f"{outcome.jobs_compared} jobs have equal results, {outcome.jobs_failed} had failed, "
            f"{outcome.jobs_open} had not ended"
        )
    print(
        f"{core.role} {core.id}: {outcome.steps} steps have equal effects; {jobs} ({wall_s:.1f} s)"
    )
    found = outcome.difference
    if found is not None:
        print(f"step {found.index} differs: {name_of(found.taken)} at {clock(found.now)}")
        print(f"  {found.reason}")
