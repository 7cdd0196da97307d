"""Recordings of a whole platform in virtual time: played back, verified, and a change found."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.brokers import Server, broker_of
from tests.support.platform import run_platform
from twintier.edge_twin.hosting import Hosting
from twintier.launch.exit_codes import ExitCode
from twintier.launch.inspect.replay import run_replay
from twintier.launch.instruments import Instruments
from twintier.plvn_agent.sources.builtin import BuiltinSource
from twintier.runtime.effects import Count, Effect
from twintier.runtime.recording.recorder import read_steps

PLVNS = 2


@pytest.fixture(scope="module")
def inboxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of a run with two PLVNs until both have an individual model."""
    state = tmp_path_factory.mktemp("state")
    folder = state / "inboxes"
    source = BuiltinSource(PLVNS, seed=1, start_hour=12.0, constant=True)
    outcome = run_platform(
        state,
        source,
        slots=1000,
        until=lambda view: sum(own.model is not None for own in view.models().values()) == PLVNS,
        instruments=Instruments(folder),
    )
    assert sum(own.model is not None for own in outcome.view.models().values()) == PLVNS
    return folder


def of(inboxes: Path, identity: str) -> Path:
    [path] = inboxes.glob(f"{identity}-*.inbox")
    return path


def test_every_core_does_the_same_again_and_every_job_has_the_same_result(
    inboxes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["cloud", "edge-1", "edge-2", "toronto-highway-1", "toronto-local-1"]
    jobs = 0
    for name in names:
        path = of(inboxes, name)
        assert run_replay(path, verify=True, as_json=True) == ExitCode.OK
        said = json.loads(capsys.readouterr().out)
        assert said["id"] == name
        assert said["difference"] is None
        assert said["steps"] == len(list(read_steps(path))) > 10
        assert said["jobs_failed"] == 0
        jobs += said["jobs_compared"]
    assert sorted(p.name.split("-", 1)[0] for p in inboxes.iterdir()) == sorted(
        name.split("-", 1)[0] for name in names
    )
    assert jobs > 20


def test_an_edge_server_that_behaves_otherwise_is_found(
    inboxes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ignoring(_hosting: Hosting, *_arguments: object) -> Sequence[Effect]:
        return [Count("ignored")]

    monkeypatch.setattr(Hosting, "on_category", ignoring)
    hosting = max(inboxes.glob("edge-*.inbox"), key=lambda path: path.stat().st_size)
    assert run_replay(hosting, verify=False, as_json=False) == ExitCode.DIFFERENT
    said = capsys.readouterr().out.splitlines()
    assert "jobs were not run again" in said[0]
    assert said[1].startswith("step ")
    assert " differs: CategoryAssigned from cloud:cloud, number " in said[1]
    assert said[2].startswith("  effects")


def test_a_tape_or_anything_else_is_no_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_bytes(b"twintier tape\n")
    assert run_replay(tmp_path / "x", verify=False, as_json=False) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "is no recording\n" in said
    assert "  next: make one with the option --inbox\n" in said
    assert run_replay(tmp_path / "none", verify=False, as_json=False) == ExitCode.USAGE
    assert "none" in capsys.readouterr().err


def test_a_process_that_was_killed_leaves_a_recording_that_is_played_back(tmp_path: Path) -> None:
    with broker_of("mosquitto", tmp_path / "broker") as running:
        assert isinstance(running, Server)
        options = ("--url", running.running.url, "--state", str(tmp_path / "state"))
        process = twintier("up", "cloud", *options, "--inbox", str(tmp_path / "inboxes"))
        watching = twintier("watch", "cloud/status", *options[:2], "--count", "2")
        assert watching.communicate(timeout=60)[0].count("cloud-status-reported") == 2
        process.kill()
        process.communicate(timeout=20)
    [path] = (tmp_path / "inboxes").iterdir()
    played = twintier("recording", "replay", str(path), "--verify")
    output, _ = played.communicate(timeout=60)
    assert played.returncode == 0
    assert re.match(r"cloud cloud: [1-9]\d* steps have equal effects; 0 jobs", output)


def twintier(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "twintier", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
