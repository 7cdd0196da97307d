"""Recordings of release 0.1 open, and reading one makes nothing of ours and runs nothing."""

import pickle
import struct
from enum import Enum
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from twintier.plvn_agent.keys import Timer
from twintier.protocol.messages import Site
from twintier.runtime.core import JobDone, TimerFired
from twintier.runtime.effects import Count
from twintier.runtime.recording import pickles
from twintier.runtime.recording.foreign import Foreign, loads, read_core, read_foreign
from twintier.runtime.recording.pickles import UnreadableError
from twintier.runtime.recording.recorder import (
    MAGIC,
    VERSION,
    Beginning,
    OtherRecordingError,
    RecordingError,
    Step,
    read_beginning,
)

KEPT = Path(__file__).parents[2] / "kept" / "0.1"


@pytest.mark.parametrize(
    ("name", "core", "steps", "inputs"),
    [
        ("cloud", "CloudCore", 35, ["Started", "Received", "Received"]),
        ("edge-1", "EdgeCore", 15, ["Started", "Received", "Received"]),
        ("toronto-local-1", "AgentCore", 176, ["Observed", "Started", "Received"]),
    ],
)
def test_a_recording_of_release_0_1_opens(
    name: str, core: str, steps: int, inputs: list[str]
) -> None:
    path = KEPT / f"{name}.inbox"
    assert read_core(path).name == core
    found = list(read_foreign(path))
    assert len(found) == steps
    assert [step.taken.name for step in islice(found, 3)] == inputs
    assert [step.raised for step in found if step.raised] == []


def test_the_values_of_then_are_there_under_their_names() -> None:
    settings = read_core(KEPT / "edge-1.inbox").values["settings"]
    assert isinstance(settings, Foreign)
    assert (settings.module, settings.name) == ("twintier.edge_twin.settings", "EdgeSettings")
    assert (settings.values["batch_slots"], settings.values["exchange_slots"]) == (15, 75)
    registered = list(read_foreign(KEPT / "toronto-local-1.inbox"))[1].effects[2]
    message = registered.values["message"]
    assert isinstance(message, Foreign)
    assert message.name == "RegistrationRequested"
    assert message.values["requested_inmfs"] == ("coop-perception",)


@pytest.mark.parametrize("name", ["cloud", "edge-1", "toronto-local-1"])
def test_it_cannot_be_played_and_says_what_it_had(name: str) -> None:
    with pytest.raises(OtherRecordingError, match=r"another release: twintier\..* had other field"):
        read_beginning(KEPT / f"{name}.inbox")


def test_a_recording_of_this_release_is_read_the_same_way() -> None:
    site = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)
    step = Step(2.0, TimerFired(Timer.LEASE), (Count("x", 3),), "")
    read = loads(pickles.dumps((step, JobDone("j", {"at": site, "a": np.arange(3)}))))
    assert isinstance(read, tuple)
    first, second = read
    assert first.values["now"] == 2.0
    assert first.values["taken"].values["key"].arguments == ("lease",)
    assert first.values["effects"][0].values == {"counter": "x", "count": 3}
    assert second.values["result"]["at"].values["city"] == "Berlin"
    assert second.values["result"]["a"].tolist() == [0, 1, 2]


class Calls:
    """A pickle that calls something when it is read."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._reduced


class Ours(Enum):
    """Of the tests, so no class of the project."""

    ONE = 1


@pytest.mark.parametrize(
    "value",
    [
        Calls(print, "boom"),
        Calls(eval, "print('boom')"),
        Calls(getattr, "x", "upper"),
        Calls(pickles.blank, "subprocess", "Popen"),
        Ours.ONE,
        Path("/"),
    ],
)
def test_what_is_neither_ours_nor_plain_is_refused(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnreadableError, match="may not hold"):
        loads(pickle.dumps(value))
    assert capsys.readouterr().out == ""


def test_a_function_of_ours_is_a_name_and_is_not_called() -> None:
    read = loads(pickle.dumps(Calls(pickles.dumps, "boom")))
    assert isinstance(read, Foreign)
    assert (read.name, read.arguments) == ("dumps", ("boom",))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "was cut off, or does not begin with a core"),
        ([1], "was cut off, or does not begin with a core"),
        ([Beginning(99, pickles.blank("twintier.edge_twin.core", "EdgeCore"))], "is of version 99"),  # type: ignore[arg-type]
    ],
)
def test_a_file_that_begins_otherwise_is_refused(
    tmp_path: Path, values: list[object], said: str
) -> None:
    with pytest.raises(RecordingError, match=said):
        read_core(framed(tmp_path / "x", values))


@pytest.mark.parametrize(
    ("value", "said"),
    [([1], "holds a list, not a step"), (Step(1, Count("x"), (), ""), "holds a Step, not a step")],  # type: ignore[arg-type]
)
def test_a_frame_that_is_no_step_is_refused(tmp_path: Path, value: object, said: str) -> None:
    core = pickles.blank("twintier.edge_twin.core", "EdgeCore")
    path = framed(tmp_path / "x", [Beginning(VERSION, core), value])  # type: ignore[arg-type]
    with pytest.raises(RecordingError, match=said):
        list(read_foreign(path))


def framed(path: Path, values: list[object]) -> Path:
    frames = [pickles.dumps(value) for value in values]
    path.write_bytes(MAGIC + b"".join(struct.pack("<I", len(f)) + f for f in frames))
    return path
