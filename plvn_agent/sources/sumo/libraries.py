"""Whether this machine can run SUMO, found by trying before anything starts.

SUMO's wheels bring its programs, and leave graphics and other libraries to the system.
"""

import re
import subprocess
import sys
from collections.abc import Sequence

from twintier.plvn_agent.source import SourceError
from twintier.plvn_agent.sources.sumo.scenario import sumo_environment, sumo_home

SYSTEM_PACKAGES = "libgl1 libx11-6 libxext6 libxrender1 libatomic1 libexpat1"
"""What the wheels need from the system, by the names of Debian."""
TRIAL_S = 30.0
"""Longest trial; a slow disk reads a program of 100 MB within it."""
_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object")


def sumo_problem() -> str | None:
    """Why SUMO cannot run here, with the line that mends it; None if it can."""
    try:
        programs = sumo_home() / "bin"
    except SourceError as error:
        return str(error)
    trials = [[sys.executable, "-c", "import libsumo"], [str(programs / "duarouter"), "--version"]]
    for trial in trials:
        said = _complaint(trial)
        if said is not None:
            return explain(said)
    return None


def explain(said: str) -> str:
    """The problem behind the words of a program that could not start."""
    missing = _LIBRARY.search(said)
    if missing is None:
        last = said.strip().rpartition("\n")[2][-200:]
        return f"SUMO cannot run on this machine: {last}; try `sumo --version`"
    return (
        f"SUMO cannot run on this machine: {missing[1]} is missing; "
        f"run: apt-get install -y {SYSTEM_PACKAGES}"
    )


def _complaint(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter and SUMO's own program
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRIAL_S,
            env=sumo_environment(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr or f"{command[0]} ended with exit code {done.returncode}"
