"""What can be wrong with settings, with the line that mends it."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class SettingError(Exception):
    """A setting that cannot be used: what, why, and what to do next."""

    def __init__(self, what: str, why: str, following: str) -> None:
        super().__init__(f"{what}; {why}; {following}")
        self.what = what
        self.why = why
        self.following = following


class UnknownSettingError(SettingError):
    """No setting has the name that was asked for."""


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> list[str]:
    """Up to three names that one may have meant, the nearest first."""
    return get_close_matches(name, list(known), n=3, cutoff=cutoff)


def guess(near: Sequence[str]) -> str:
    """The names that one may have meant as a question, empty if there are none."""
    return f"did you mean {' or '.join(near)}?" if near else ""
