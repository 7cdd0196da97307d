"""VNF scaling as the platform sees it: memory, attributes, admissible orders, emulators."""

import json

import numpy as np
import pytest

from tests.inmf.vnf_scaling.played import episodes_of, hidden_of, simulated
from twintier.inmf.check.subject import SITE, CheckedSite
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.inmf import VnfScaling

INMF = VnfScaling()


def test_the_first_load_fills_memory() -> None:
    row = {**INMF.first_memory(), "load": np.array(5.0)}
    memory = INMF.remember(row, {})
    assert memory["loads_before"].tolist() == [5.0, 5.0, 5.0]
    assert memory["load_mean"] == 5.0
    assert memory["load_variance"] == 0.36
    assert memory["load_seen"] == 1.0


def test_later_loads_move_mean_and_variance_by_a_fifth() -> None:
    memory = INMF.remember({**INMF.first_memory(), "load": np.array(5.0)}, {})
    memory = INMF.remember({**memory, "load": np.array(10.0)}, {})
    assert memory["loads_before"].tolist() == [10.0, 5.0, 5.0]
    assert memory["load_mean"] == pytest.approx(6.0)
    assert memory["load_variance"] == pytest.approx(0.8 * (0.36 + 0.2 * 25.0))


@pytest.mark.parametrize(("total", "asked", "done"), [(12.0, 3, 0), (11.0, 3, 2), (1.0, 1, 0)])
def test_orders_beyond_the_limits_become_the_nearest_that_can_be(
    total: float, asked: int, done: int
) -> None:
    row = {"ordered": np.full(6, total)}
    assert INMF.admissible(row, np.array([asked])).tolist() == [done]


def test_attributes_are_mean_load_and_mean_spare_instances() -> None:
    columns = {"load": np.array([2.0, 4.0]), "running": np.array([5.0, 6.0])}
    found = INMF.attributes(columns)
    assert (found.workload, found.resources) == (3.0, 2.5)
    assert INMF.attributes({name: values[:0] for name, values in columns.items()}).workload is None


def test_experts_differ_by_city_and_road() -> None:
    local, highway = (expert(CheckedSite("vancouver", road)) for road in ("local", "highway"))
    assert expert(SITE).load.mean > local.load.mean
    assert highway.load.noise_sd < local.load.noise_sd


def test_a_fit_to_a_world_emulates_its_loads() -> None:
    columns, _ = simulated(1500)
    drawn = INMF.emulator(SITE).fit(columns).draw(40, np.random.default_rng(0)).trace.met
    assert drawn.mean() == pytest.approx(columns["load"].mean(), abs=0.2)
    assert drawn.std() == pytest.approx(columns["load"].std(), abs=0.35)


def test_an_emulator_is_read_from_its_file() -> None:
    emulator = INMF.emulator(SITE)
    assert INMF.emulator_of(json.loads(json.dumps(emulator.to_dict()))) == emulator


@pytest.mark.parametrize("value", [None, "4", float("nan")])
def test_a_file_with_something_else_is_refused(value: object) -> None:
    stored = {**INMF.emulator(SITE).to_dict(), "mean": value}
    with pytest.raises(ValueError, match="mean of a load model is"):
        INMF.emulator_of(stored)


def test_the_rule_plays_its_own_episodes_only() -> None:
    batch = episodes_of(np.full((2, 3), 5.0), hidden_of())
    assert INMF.rule_actions(batch).shape == (2, 3, 1)
    with pytest.raises(TypeError, match="own episodes"):
        INMF.rule_actions(object())  # type: ignore[arg-type]
