"""What can be wrong with settings, with the line that mends it."""

from collections.abc import Iterable
from difflib import get_close_matches


class SettingError(Exception):
    """A setting that cannot be used: what, why, and what to do next."""

    def __init__(self, what: str, why: str, following: str) -> None:
        super().__init__(f"{what}; {why}; {following}")
        self.what = what
        self.why = why
        self.following = following


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Up to three names that one may have meant, in words; empty if none is near."""
    close = get_close_matches(name, list(known), n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(close)}?" if close else ""
