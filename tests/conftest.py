"""What every test stands on: one thread a process, hypothesis without a clock, marks by folder."""

from pathlib import Path

import pytest
from hypothesis import settings

from twintier.runtime.one_thread import use_one_thread

SYSTEM = Path(__file__).parent / "system"

use_one_thread()  # before a test loads numpy; the workers have the cores already
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("full")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real processes, before `-m` selects.

    Such tests run one after another on one worker: two platforms at once would keep neither's
    speed on two cores.
    """
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.xdist_group("system"))
