"""`twintier recording` on recordings of release 0.1, which cannot be played any more."""

import json
from pathlib import Path

import pytest

from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.recorded import effects_in_words, input_in_words, run_show
from twintier.launch.inspect.replay import run_replay
from twintier.plvn_agent.keys import Timer
from twintier.protocol.ids import InmfId
from twintier.runtime.core import Observed, TimerFired
from twintier.runtime.effects import Actuate, CancelTimer, Count, Defer
from twintier.runtime.recording import pickles
from twintier.runtime.recording.foreign import Foreign, ForeignStep, loads

OTHER = (
    "other fields then: batch_slots, exchange_slots, retrain_slots, calibration_slots, "
    "guard_floor_j"
)
KEPT = Path(__file__).parents[2] / "kept" / "0.1"


def test_the_steps_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_show(KEPT / "cloud.inbox", limit=11, as_json=True) == ExitCode.OK
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 11
    assert rows[0] == {
        "step": 0,
        "at": "2026-11-30T22:17:45.246+00:00",
        "input": "Started",
        "effects": [
            "publish CloudStatusReported",
            "start timer lease",
            "start timer servers",
            "start timer grants",
        ],
    }
    assert rows[10]["input"] == "AttributesReported from edge:edge-1, number 1"
    assert rows[10]["effects"] == [
        "save PlvnRecord",
        "publish CategoryAssigned",
        "start timer settle",
    ]


@pytest.mark.parametrize(
    ("name", "steps"), [("cloud", 35), ("edge-1", 15), ("toronto-local-1", 176)]
)
def test_all_steps_are_printed_a_line_each(
    name: str, steps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_show(KEPT / f"{name}.inbox", limit=0, as_json=False) == ExitCode.OK
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["step", "at", "input", "effects"]
    assert [line.split()[0] for line in lines] == [str(number) for number in range(steps)]


def read(value: object) -> Foreign:
    found = loads(pickles.dumps(value))
    assert isinstance(found, Foreign)
    return found


def test_equal_effects_in_a_row_stand_once_and_an_error_in_their_place() -> None:
    effects = (
        *(Actuate(InmfId("a"), (1.0,)),) * 3,
        CancelTimer(Timer.LEASE),
        Count("refused"),
        Defer(),
    )
    step = ForeignStep(1.0, read(Observed(None)), tuple(read(each) for each in effects), "")
    assert effects_in_words(step) == [
        "act a (3 times)",
        "cancel timer Timer lease",
        "count refused",
        "defer",
    ]
    raised = ForeignStep(1.0, read(Observed(None)), (), "ValueError('slot 4')")
    assert effects_in_words(raised) == ["raised ValueError('slot 4')"]


def test_an_input_is_told_by_its_key_or_by_what_was_seen() -> None:
    assert input_in_words(read(TimerFired(Timer.LEASE))) == "TimerFired Timer lease"
    assert input_in_words(read(Observed(None))) == "Observed"


def test_what_cannot_be_played_again_says_why_and_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = KEPT / "edge-1.inbox"
    assert run_replay(path, verify=False, as_json=False) == ExitCode.OTHER_RELEASE
    assert capsys.readouterr().err.splitlines() == [
        f"twintier: {path} was recorded by another release, whose core had other parts",
        f"  why: it cannot be played again: twintier.edge_twin.settings.EdgeSettings had {OTHER}",
        f"  next: twintier recording show {path} (or play it with the release that wrote it)",
    ]


def test_a_file_that_is_no_recording_cannot_be_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_bytes(b"x")
    assert run_show(tmp_path / "x", limit=0, as_json=False) == ExitCode.USAGE
    assert "is no recording" in capsys.readouterr().err
