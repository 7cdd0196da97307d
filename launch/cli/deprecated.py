"""Spellings of the release before, which work for one more with a line that names the new one."""

import sys


def deprecated(old: str, new: str) -> None:
    """Say on standard error that a spelling goes away."""
    print(f"twintier: `{old}` is deprecated; write `{new}`", file=sys.stderr, flush=True)
