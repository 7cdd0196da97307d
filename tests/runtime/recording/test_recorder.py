"""Recordings: the core as it was, every input, and nothing that could run when it is read."""

import pickle
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support.names import COOP_PERCEPTION
from tests.support.walker import Walker
from twintier.edge_twin.cusum import ResidualWatch
from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.perception.inmf import CoopPerception
from twintier.inmf.spec import MultiBinary
from twintier.plvn_agent.core import AgentCore
from twintier.plvn_agent.settings import AgentSettings
from twintier.plvn_agent.source import PlvnProfile
from twintier.protocol.ids import PlvnId
from twintier.protocol.messages import Site
from twintier.protocol.tensors import Tensors
from twintier.runtime.core import Input, JobDone, Observed, Started, TimerFired
from twintier.runtime.effects import ConfirmUploads, Count
from twintier.runtime.recording import pickles
from twintier.runtime.recording.recorder import (
    MAGIC,
    VERSION,
    Beginning,
    RecordedCore,
    Recorder,
    RecordingError,
    Step,
    read_beginning,
    read_steps,
)
from twintier.runtime.recording.replay import difference, replay

SITE = Site(city="Berlin", road="Highway", lat_deg=52.5, lon_deg=13.4)
INMFS = {COOP_PERCEPTION: CoopPerception()}
AGENT = AgentCore(PlvnProfile(PlvnId("p1"), SITE), AgentSettings(), INMFS)
INPUTS: list[Input] = [Started(), *[Observed(None)] * 5, TimerFired("tick")]


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recordings hold the tests' own classes."""
    monkeypatch.setattr(pickles, "OURS", (*pickles.OURS, "tests"))


def record(path: Path) -> None:
    core = RecordedCore(Walker(), path)
    for number, taken in enumerate(INPUTS):
        try:
            core.receive(taken, float(number))
        except ValueError as error:
            assert str(error) == "slot 4"  # noqa: PT017  # the runtime takes it in its place


@pytest.mark.usefixtures("ours")
def test_a_recording_holds_the_core_as_it_was_and_all_that_followed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "inbox"
    record(path)
    steps = list(read_steps(path))
    assert [step.taken for step in steps] == INPUTS
    assert [step.raised for step in steps if step.raised] == ["ValueError('slot 4')"]
    core = read_beginning(path).core
    assert isinstance(core, Walker)
    assert core.slot == 0
    outcome = replay(core, iter(steps))
    assert (outcome.steps, outcome.difference) == (len(INPUTS), None)


@pytest.mark.usefixtures("ours")
def test_what_was_taken_before_a_kill_is_there(tmp_path: Path) -> None:
    core = RecordedCore(Walker(), tmp_path / "inbox")  # never closed
    core.receive(Observed(None), 1.0)
    assert [step.now for step in read_steps(tmp_path / "inbox")] == [1.0]


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_recording_that_was_cut_off_is_read_up_to_there(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "inbox"
    record(path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(list(read_steps(path))) == len(INPUTS) - 1


@pytest.mark.usefixtures("ours")
def test_a_recorder_that_cannot_write_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    core = RecordedCore(Walker(), path)
    core.receive(Started(), 1.0)
    core.receive(Observed(lambda: None), 2.0)  # cannot be pickled
    core.receive(Observed(None), 3.0)
    assert [step.now for step in read_steps(path)] == [1.0]


def test_a_core_that_could_not_be_read_again_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"may not hold tests.*; run it without --inbox"):
        Recorder(tmp_path / "inbox", Walker())
    assert not (tmp_path / "inbox").exists()


@pytest.mark.usefixtures("ours")
def test_a_folder_that_is_none_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"cannot record into .*file/inbox: "):
        Recorder(tmp_path / "file" / "inbox", Walker())


def framed(path: Path, value: object) -> Path:
    """A recording of a core, and one frame that plain pickle has made."""
    first = pickles.dumps(Beginning(VERSION, AGENT))
    frame = pickle.dumps(value)
    frames = [struct.pack("<I", len(each)) + each for each in (first, frame)]
    path.write_bytes(MAGIC + b"".join(frames))
    return path


def test_results_with_arrays_and_generators_survive_a_recording(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rng.random(5)
    tensors = Tensors.pack({"a": np.arange(3.0)})
    result = {"x": np.arange(4.0), "y": np.float32(2), "t": tensors, "rng": rng}
    Recorder(tmp_path / "x", AGENT).write(Step(1.0, JobDone("j", result), (), ""))
    [found] = read_steps(tmp_path / "x")
    assert isinstance(found.taken, JobDone)
    read = found.taken.result
    assert isinstance(read, dict)
    assert read.pop("rng").random() == result.pop("rng").random()  # type: ignore[attr-defined]
    assert difference(read, result, "r") == ""


def test_classes_of_ours_that_are_no_records_are_made_without_their_constructors() -> None:
    actor = Actor(
        PolicySpec(2, MultiBinary(1)),
        np.zeros(PolicySpec(2, MultiBinary(1)).parameters, np.float32),
    )
    data = pickles.dumps(actor)
    assert b"Actor" in data
    again = pickles.loads(data)
    assert isinstance(again, Actor)
    assert difference(vars(again), vars(actor)) == ""
    with pytest.raises(pickles.UnreadableError, match=r"inmf.actor.Actor, which is no record"):
        pickles.loads(pickle.dumps(actor))


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class LaterPoint:
    z: float = 7.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class OtherPoint:
    x: float
    radius: float


@pytest.mark.usefixtures("ours")
def test_records_of_another_build_are_read_by_the_names_of_their_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = pickles.dumps(Point(1.0, 2.0))
    assert pickles.loads(data) == Point(1.0, 2.0)
    module = sys.modules[Point.__module__]
    monkeypatch.setattr(module, "Point", LaterPoint)
    assert pickles.loads(data) == LaterPoint(z=7.0, x=1.0, y=2.0)
    monkeypatch.setattr(module, "Point", OtherPoint)
    with pytest.raises(pickles.OtherReleaseError, match="other fields then: y, radius"):
        pickles.loads(data)


@dataclass(frozen=True)
class Stranger:
    word: str


class Calls:
    """A pickle that calls something when it is read."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._reduced


@pytest.mark.parametrize(
    "value",
    [
        Calls(print, "boom"),
        Calls(eval, "print('boom')"),
        Calls(getattr, "x", "upper"),
        Calls(Recorder, "boom"),
        Calls(pickles.dumps, "boom"),
        Calls(pickles.unfilled, Recorder),
        Calls(pickles.loads, pickle.dumps(1)),
        Stranger("x"),
        Path("/"),
        exec,
    ],
)
def test_a_recording_runs_no_code_and_holds_no_strange_classes(
    tmp_path: Path, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecordingError, match=r"may not hold|is no class"):
        list(read_steps(framed(tmp_path / "x", value)))
    assert capsys.readouterr().out == ""
    assert not Path("boom").exists()


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("subprocess", "Popen", "may not hold subprocess.Popen"),
        ("twintier.runtime.recording.recorder", "struct.Struct", "may not hold"),
        ("twintier.runtime.recording.recorder", "pickles", "is no class"),
        ("twintier.runtime.recording.recorder", "Step", "is a record, which is never blank"),
    ],
)
def test_no_other_instance_is_made_blank(module: str, name: str, said: str) -> None:
    with pytest.raises(pickles.UnreadableError, match=said):
        pickles.loads(pickle.dumps(Calls(pickles.blank, module, name)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no recording; make one with the option --inbox"),
        (b"\x05\x00\x00\x00hello", "is no recording"),
        (MAGIC, "was cut off, or does not begin with a core"),
        (MAGIC + b"\x05\x00\x00\x00hello", "at byte 19: UnpicklingError"),
        (MAGIC + b"\x02\x00\x00\x00N.", "does not begin with a core"),
        (MAGIC + b"\x03\x00\x00\x00K\x01.", "does not begin with a core"),
        (MAGIC + b"\xff\xff\xff\xff", "a frame of 4294967295 bytes begins"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RecordingError, match=said):
        list(read_steps(tmp_path / "x"))
    with pytest.raises(RecordingError, match=said):
        read_beginning(tmp_path / "x")


def test_a_recording_of_another_version_says_so(tmp_path: Path) -> None:
    first = pickles.dumps(Beginning(99, AGENT))
    (tmp_path / "x").write_bytes(MAGIC + struct.pack("<I", len(first)) + first)
    with pytest.raises(RecordingError, match="is of version 99; this reads 1"):
        read_beginning(tmp_path / "x")


def test_a_frame_that_is_no_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="holds a list, not a step"):
        list(read_steps(framed(tmp_path / "x", [1])))


@pytest.mark.parametrize(
    ("module", "name", "present"),
    [
        ("broker.effects", "Tally", Count),
        ("broker.effects", "Settle", ConfirmUploads),
        ("broker.core", "TimerFired", TimerFired),
        ("edge_twin.monitor", "ResidualWatch", ResidualWatch),
    ],
)
def test_a_class_of_the_release_before_is_found_where_it_stands_now(
    module: str, name: str, present: type
) -> None:
    assert pickles.loads(f"c{module}\n{name}\n.".encode()) is present
