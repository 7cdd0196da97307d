"""How a command says that it cannot go on."""

import sys

from twintier.launch.exit_codes import ExitCode


def say(error: object, code: ExitCode) -> int:
    """Print a problem to standard error and return its exit code."""
    print(f"twintier: {error}", file=sys.stderr, flush=True)
    return int(code)
