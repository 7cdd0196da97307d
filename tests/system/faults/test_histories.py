"""Numbered uploads through real brokers that are killed, to receivers that are killed.

A message is accepted when the sender's transaction says so. The checker compares the sender's and
the receiver's files: each accepted number has exactly one effect, in the order of its stream. With
resending or deduplication switched off the same checker must find losses or doubles.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.brokers import Server, broker_of
from tests.system.faults.peer import numbers

pytestmark = pytest.mark.system

COUNT = int(os.environ.get("TWINTIER_HISTORY_MESSAGES", "4000"))
FEW = 2000
KILLS = 5
PATIENCE_S = float(os.environ.get("TWINTIER_HISTORY_PATIENCE_S", "240"))
DOUBLING = "seed=5,duplicate=0.1"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong with a history; all empty is as it must be."""

    lost: Sequence[int]
    doubled: Sequence[int]
    invented: Sequence[int]
    disordered: int
    """Effects that came after one of a later number of their stream."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.invented or self.disordered)


def check(accepted: Sequence[int], effects: Sequence[tuple[int, str, str, int]]) -> Findings:
    """Compare what a sender accepted with the effects at the receiver."""
    counts = Counter(number for number, *_ in effects)
    newest: dict[tuple[str, str], int] = {}
    disordered = 0
    for _, boot, stream, seq in effects:
        disordered += seq <= newest.get((boot, stream), 0)
        newest[boot, stream] = max(seq, newest.get((boot, stream), 0))
    return Findings(
        lost=[n for n in accepted if counts[n] == 0],
        doubled=[n for n, count in counts.items() if count > 1],
        invented=sorted(set(counts) - set(accepted)),
        disordered=disordered,
    )


@dataclass
class Run:
    """A broker, a sender and a receiver; those that die are started again."""

    server: Server
    folder: Path
    count: int
    receiver_options: Sequence[str] = ()
    sender_options: Sequence[str] = ()
    receiver_deaths: int = 0
    sender_deaths: int = 0
    broker_deaths: int = 0
    alive: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def accepted(self) -> list[int]:
        return [number for number, *_ in numbers(self.folder / "sender.sqlite")]

    @property
    def effects(self) -> list[tuple[int, str, str, int]]:
        return numbers(self.folder / "receiver.sqlite")

    def begin(self, role: str, *options: str) -> None:
        given = self.sender_options if role == "sender" else self.receiver_options
        arguments = [role, self.server.running.url, str(self.folder / f"{role}.sqlite")]
        with (self.folder / f"{role}.out").open("ab") as output:
            self.alive[role] = subprocess.Popen(
                [sys.executable, "-m", "tests.system.faults.peer", *arguments, *given, *options],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def receiver(self) -> None:
        """Start the receiver; the next few die by themselves between effect and acknowledgement."""
        share = self.count // (KILLS + 2)
        dying = self.receiver_deaths < KILLS
        self.begin("receiver", *(["--kill-after", str(share)] if dying else []))

    def sender(self) -> None:
        self.begin("sender", "--count", str(self.count))

    def tend(self) -> None:
        """Start again what has died, and kill the broker and the sender when it is their turn."""
        done = len(self.effects)
        if self.alive["receiver"].poll() is not None:
            self.receiver_deaths += 1
            self.receiver()
        due = (self.broker_deaths + 0.5) * self.count / (KILLS + 1)
        if self.broker_deaths < KILLS and done >= due:
            self.server.kill()
            self.server.restart()
            self.broker_deaths += 1
        if self.sender_deaths < 1 and done >= self.count / 2:
            self.alive["sender"].kill()
            self.alive["sender"].wait()
            self.sender_deaths += 1
            self.sender()

    @property
    def seen_off(self) -> bool:
        return b"seen off" in (self.folder / "sender.out").read_bytes()

    def end(self) -> None:
        for process in self.alive.values():
            process.kill()
            process.wait()


def history(run: Run, *, all_accepted_is_enough: bool = False) -> Findings:
    """Run until the sender has seen everything off; or until nothing more comes."""
    deadline = time.monotonic() + PATIENCE_S
    run.receiver()
    run.sender()
    try:
        before, since = -1, time.monotonic()
        while not run.seen_off or run.broker_deaths < KILLS:
            assert time.monotonic() < deadline, state(run)
            run.tend()
            done = len(run.effects)
            if done != before:
                before, since = done, time.monotonic()
            if all_accepted_is_enough and time.monotonic() - since > 3.0:
                break
            time.sleep(0.05)  # how often the files are looked at; nothing depends on it
    finally:
        run.end()
    return check(run.accepted, run.effects)


def state(run: Run) -> str:
    said = (run.folder / "sender.out").read_text() + (run.folder / "receiver.out").read_text()
    return f"{len(run.accepted)} accepted, {len(run.effects)} effects\n{said[-2000:]}"


@pytest.mark.timeout(PATIENCE_S + 60)
@pytest.mark.parametrize(
    ("kind", "persistence"), [("mosquitto", True), ("mosquitto", False), ("nats", True)]
)
def test_every_accepted_message_has_one_effect_though_everything_is_killed(
    kind: str,
    persistence: bool,  # noqa: FBT001  # a parameter
    tmp_path: Path,
) -> None:
    with broker_of(kind, tmp_path, persistence=persistence) as server:
        assert isinstance(server, Server)
        run = Run(server, tmp_path, COUNT, ["--faults", DOUBLING])
        findings = history(run)
    assert findings.clean, findings
    assert len(run.accepted) == COUNT == len(run.effects)
    assert (run.broker_deaths, run.receiver_deaths, run.sender_deaths) == (KILLS, KILLS, 1)


@pytest.mark.timeout(PATIENCE_S + 60)
def test_the_checker_finds_losses_when_nothing_is_sent_again(tmp_path: Path) -> None:
    with broker_of("mosquitto", tmp_path, persistence=False) as server:
        assert isinstance(server, Server)
        run = Run(server, tmp_path, FEW, sender_options=["--no-resend"])
        findings = history(run, all_accepted_is_enough=True)
    assert findings.lost


@pytest.mark.timeout(PATIENCE_S + 60)
def test_the_checker_finds_doubles_and_disorder_when_positions_are_ignored(
    tmp_path: Path,
) -> None:
    with broker_of("mosquitto", tmp_path) as server:
        assert isinstance(server, Server)
        run = Run(server, tmp_path, FEW, ["--faults", DOUBLING, "--no-dedup"])
        findings = history(run, all_accepted_is_enough=True)
    assert len(findings.doubled) > FEW * 0.05
    assert findings.disordered > 0


def test_the_checker_tells_every_kind_of_fault_apart() -> None:
    good = [(n, "b", "s", n + 1) for n in range(4)]
    assert check([0, 1, 2, 3], good).clean
    assert check([0, 1, 2, 3, 4], good).lost == [4]
    assert check([0, 1, 2, 3], [*good, good[3]]).doubled == [3]
    assert check([0, 1, 2], good).invented == [3]
    assert check([0, 1, 2, 3], [good[1], good[0], *good[2:]]).disordered == 1
