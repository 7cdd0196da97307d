"""How a command says that it cannot go on: what, why, and what to do next, a line each."""

import sys
from dataclasses import dataclass

from twintier.launch.exit_codes import PAGES, ExitCode


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that ends a command."""

    what: str
    why: str
    following: str
    """A command to run, or what else to do."""


_EXTRAS = {"sqlalchemy": "twins", "safetensors": "twins", "torch": "twins", "matplotlib": "plots"}
"""Modules that the base install lacks, with the extra that brings each."""


def say(error: object, code: ExitCode) -> int:
    """Print a problem to standard error and return its exit code.

    Messages of this project end in `; what to do`, which becomes the last line.
    """
    problem = error if isinstance(error, Problem) else _problem_of(str(error), code)
    lines = (f"twintier: {problem.what}", f"  why: {problem.why}", f"  next: {problem.following}")
    print("\n".join(lines), file=sys.stderr, flush=True)
    return int(code)


def say_missing(error: ModuleNotFoundError) -> int:
    """Say which extra a command needs, and return the exit code.

    Raises:
        ModuleNotFoundError: the same error, if no extra of ours brings the module.
    """
    if error.name not in _EXTRAS:
        raise error
    extra = _EXTRAS[error.name]
    problem = f"this command needs {error.name}; pip install 'twintier[{extra}]'"
    return say(problem, ExitCode.USAGE)


def _problem_of(message: str, code: ExitCode) -> Problem:
    what, _, following = message.rpartition("; ")
    why = f"{PAGES[code].meaning} (exit code {code.value})"
    if not what or "\n" in following:  # the words of another program stand at the end
        return Problem(message, why, f"twintier exit-code {code.value}")
    return Problem(what, why, following)
