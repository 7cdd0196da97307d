"""What the kept run of `bench engines` shows, and the page quotes."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.engines import WINDOW, draw_plain, draw_stacked

ROOT = Path(__file__).parents[2]
KEPT = json.loads((ROOT / "docs/benchmarks/engines.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("title", "network", "engine"),
    [
        ("64-64 tanh, numpy", "mlp", "numpy_ms"),
        ("64-64 tanh, torch", "mlp", "torch_ms"),
        ("GRU of 32 units over 5 slots, torch", "gru", "torch_ms"),
    ],
)
def test_the_page_quotes_the_kept_times(title: str, network: str, engine: str) -> None:
    page = (ROOT / "docs/learning.md").read_text(encoding="utf-8")
    times = KEPT[network][engine]
    assert f"| {title} | {times['ppo']:.1f} | {times['maml']:.1f} |" in page


def test_the_kept_engines_differ_by_less_than_the_page_says() -> None:
    assert KEPT["changed_files"] == 0
    assert max(KEPT["largest_difference"].values()) < 1e-14


def test_a_stacked_slot_shows_the_slots_before_it_oldest_first() -> None:
    plain = draw_plain([np.random.default_rng(0)], 2)
    stacked = draw_stacked([np.random.default_rng(0)], 2)
    seen, shown = plain.observe_all(), stacked.observe_all().reshape(2, 75, WINDOW, 7)
    for back in range(WINDOW):
        np.testing.assert_array_equal(shown[:, 10, WINDOW - 1 - back], seen[:, 10 - back])
    assert not shown[:, 0, :-1].any()
