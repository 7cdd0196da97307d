"""Processes of a run that this one starts, watches and ends, by the pid it started."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twintier.broker.servers.process import start

END_S = 1.7
"""From the signal to the end; what lasts longer is killed."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process of this run."""

    name: str
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def last_words(self) -> str:
        """The end of its log."""
        return self.log_path.read_text(errors="replace")[-1500:]


def start_child(
    name: str, arguments: Sequence[str], logs: Path, *, niceness: int = 0, life: int = 1
) -> Child:
    """Start `twintier` with arguments; it ends with us, however we end.

    Args:
        name: of the process, and of its log.
        arguments: after `twintier`.
        logs: the folder of logs.
        niceness: by how much its threads and children stand behind ours.
        life: how often it is started with this; each has a log of its own.
    """
    log_path = logs / (f"{name}.log" if life == 1 else f"{name}-{life}.log")
    logs.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "twintier", *arguments]
    process = start(command, log_path, lambda: True)
    if niceness:  # at once: on Linux a thread keeps the priority of the one that started it
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    return Child(name, process, log_path)


def end_children(children: Sequence[Child]) -> list[str]:
    """Ask all to end at once and wait; returns the names of those that had to be killed."""
    running = [child for child in children if child.ended is None]
    for child in running:
        os.kill(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    killed = []
    for child in running:
        try:
            child.process.wait(max(0.01, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
            killed.append(child.name)
    return killed
