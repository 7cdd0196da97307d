"""How a command says that it cannot go on."""

import sys

from twintier.launch.exit_codes import ExitCode

_EXTRAS = {"sqlalchemy": "twins", "safetensors": "twins", "torch": "twins", "matplotlib": "plots"}
"""Modules that the base install lacks, with the extra that brings each."""


def say(error: object, code: ExitCode) -> int:
    """Print a problem to standard error and return its exit code."""
    print(f"twintier: {error}", file=sys.stderr, flush=True)
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
