"""What every test stands on: one thread a process, no clock in hypothesis, marks and order."""

import functools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from twintier.plvn_agent.sources.sumo.libraries import sumo_problem
from twintier.runtime.one_thread import use_one_thread

SYSTEM = Path(__file__).parent / "system"
PACED = (SYSTEM / "faults", SYSTEM / "test_demo.py")
"""Whole platforms that must keep a speed: minutes of wall time each, so never two at once."""

use_one_thread()  # before a test loads numpy; the workers have the cores already
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("full")


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """What a command does to the logs of its process must not outlive its test and its streams."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


sumo_cannot_run = functools.cache(sumo_problem)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what drives SUMO where a machine lacks its libraries."""
    problem = sumo_cannot_run() if item.get_closest_marker("sumo") is not None else None
    if problem is not None:
        pytest.skip(problem)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real processes before `-m` selects, and put what takes longest first.

    With `--dist loadgroup` the tests of a group run one after another on one worker: all that are
    paced, and those of each other file of `system`. A long one that came last would run alone.
    """
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
            paced = any(place in (item.path, *item.path.parents) for place in PACED)
            group = "paced" if paced else item.path.stem
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    group = item.get_closest_marker("xdist_group")
    if group is not None:
        return 0 if group.args == ("paced",) else 1
    return 2 if item.get_closest_marker("slow") is not None else 3
