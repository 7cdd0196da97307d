import asyncio
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from broker.autojump import run
from broker.clock import LoopClock
from broker.core import Input, JobDone, Observed, Started, TimerFired
from broker.effects import Effect, Publish, StartTimer, Tally
from broker.jobs import InlineJobs
from broker.memory import MemoryBus, MemoryHub
from broker.recording import RecordingError, Step, difference, read_steps, replay
from broker.runtime import Runtime, RuntimeSettings
from broker.store import NoStore
from protocol.address import Address
from protocol.ids import COOP_PERCEPTION, PlvnId
from protocol.tensors import Tensors
from tests.support.toy import ToyCore, performance

AT = Address(plvn=PlvnId("p1"), inmf=COOP_PERCEPTION)


class Walker(ToyCore):
    """Counts its slots; fails at the fourth; a faulty build of it counts double."""

    step = 1
    slot = 0

    def receive(self, message: Input, now: float) -> Sequence[Effect]:
        if not isinstance(message, Observed):
            return [StartTimer("tick", 10.0), Tally("other")]
        self.slot += self.step
        if self.slot == 4:
            raise ValueError("slot 4")
        return [Publish(performance(self.slot), AT, sim_time_s=now)]


def record(path: Path) -> None:
    async def main() -> None:
        core = Walker("plvn", "p1")
        runtime = Runtime(
            core,
            MemoryBus(MemoryHub()),
            routes=[],
            clock=LoopClock(),
            jobs=InlineJobs(),
            store=NoStore(),
            settings=RuntimeSettings(inbox_path=path),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(runtime.run())
            for _ in range(6):
                await asyncio.sleep(3)
                runtime.observe(None)
            await runtime.stop()

    run(main())


def test_a_recorded_inbox_played_back_gives_equal_effects(tmp_path: Path) -> None:
    record(tmp_path / "inbox")
    steps = list(read_steps(tmp_path / "inbox"))
    kinds = [type(step.taken) for step in steps]
    assert kinds.count(Observed) == 6
    assert kinds.count(Started) == 1
    assert kinds.count(TimerFired) == 1
    assert [step.raised for step in steps if step.raised] == ["ValueError('slot 4')"]
    assert replay(Walker("plvn", "p1"), iter(steps)) == (8, None)


def test_a_core_that_went_another_way_is_shown_where(tmp_path: Path) -> None:
    record(tmp_path / "inbox")
    faulty = Walker("plvn", "p1")
    faulty.step = 2
    agreed, found = replay(faulty, read_steps(tmp_path / "inbox"))
    assert agreed == 1
    assert found is not None
    assert found.index == 1
    assert found.reason == "effects.0.message.slot_first: 1 became 2"


def test_a_recording_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "inbox"
    record(path)
    path.write_bytes(path.read_bytes()[:-5])
    assert len(list(read_steps(path))) == 7


def framed(path: Path, value: object) -> Path:
    frame = pickle.dumps(value)
    path.write_bytes(struct.pack("<I", len(frame)) + frame)
    return path


def test_results_with_arrays_survive_a_recording(tmp_path: Path) -> None:
    tensors = Tensors.pack({"a": np.arange(3.0)})
    step = Step(1.0, JobDone("j", {"x": np.arange(4.0), "y": np.float32(2), "t": tensors}), (), "")
    [found] = read_steps(framed(tmp_path / "x", step))
    assert isinstance(found.taken, JobDone)
    assert difference(found.taken.result, step.taken.result, "r") == ""  # type: ignore[union-attr]


@dataclass(frozen=True)
class Stranger:
    word: str


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("boom",)


@pytest.mark.parametrize("value", [Bomb(), Stranger("x"), Path("/"), exec])
def test_a_recording_runs_no_code_and_holds_no_strange_classes(
    tmp_path: Path, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecordingError, match="may not hold"):
        list(read_steps(framed(tmp_path / "x", value)))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"\x05\x00\x00\x00hello", b"\x01\x00\x00\x00N."])
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(RecordingError, match="no recording"):
        list(read_steps(tmp_path / "x"))


def test_numbers_may_differ_by_a_millionth_and_no_more() -> None:
    assert difference((1.0, "a"), (1.0 + 1e-7, "a")) == ""
    assert difference((1.0, "a"), (1.1, "a")) == "effects.0: 1.0 became 1.1"
    assert difference(1, 1.0) == "effects: int became float"
    assert difference([1], [1, 2]) == "effects: parts [0] became [0, 1]"
    one, other = np.zeros(3), np.zeros(3)
    other[1] = 0.5
    assert difference(one, other) == "effects: values differ by up to 0.5"
    assert difference(one, np.zeros(4)) == "effects: (3,) float64 became (4,) float64"
    close = Tensors.pack({"a": np.ones(2) + 1e-7}), Tensors.pack({"a": np.ones(2)})
    assert difference(*close) == ""
