"""Processes that a demo starts."""

import os
from pathlib import Path

import pytest

from twintier.launch.demo.children import end_children, start_child

pytestmark = pytest.mark.system


def test_what_may_fall_behind_stands_behind_us_with_all_that_it_starts(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    arguments = ["watch", "--url", "mqtt://127.0.0.1:1"]  # waits for a broker
    children = [
        start_child("twins", arguments, tmp_path),
        start_child("traffic", arguments, tmp_path, niceness=5),
    ]
    try:
        found = [os.getpriority(os.PRIO_PROCESS, child.process.pid) for child in children]
    finally:
        end_children(children)
    assert found == [ours, min(ours + 5, 19)]
