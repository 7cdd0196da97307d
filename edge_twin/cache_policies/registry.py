"""Which cache policies are installed, by entry points of group `twintier.cache_policy`."""

from functools import cache

from twintier.edge_twin.cache_policies.port import CachePolicy
from twintier.learning.errors import SettingsError
from twintier.learning.plugins import made

GROUP = "twintier.cache_policy"


@cache
def cache_policy_of(name: str) -> CachePolicy:
    """The cache policy of this name.

    Raises:
        SettingsError: if none is installed, or its package cannot be loaded.
    """
    policy = made(GROUP, name)
    if not isinstance(policy, CachePolicy) or policy.name != name:
        raise SettingsError(f"entry point {name!r} of {GROUP} gives no cache policy of that name")
    return policy
