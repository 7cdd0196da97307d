"""How many examples a property is tried on: as stated, or a tenth of it in `make quick`."""

from hypothesis import settings

USUAL = 100
"""Hypothesis's own number; a profile that has another scales every number here alike."""


def examples(count: int) -> settings:
    """Settings for a property that is worth so many examples."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(profile, max_examples=max(1, count * profile.max_examples // USUAL))
