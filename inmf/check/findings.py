"""What a check found, and how a check says so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    name: str
    ok: bool
    what: str
    """What was found; `not stated: ...` where an INMF does without, and what the platform does."""


class BrokenRuleError(Exception):
    """The INMF breaks a rule of the contract."""


class NotStatedError(Exception):
    """The INMF does not state the part; the text says what the platform does without it."""


def require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (reads as an assertion)
    """Hold the INMF to a rule.

    Raises:
        BrokenRuleError: with the text, if it does not hold.
    """
    if not holds:
        raise BrokenRuleError(otherwise)
