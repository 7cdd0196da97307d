"""Variant `paper` as an INMF beside what every INMF is held to (`tests/contract`)."""

import numpy as np
import pytest

from twintier.inmf.perception.baselines import enumerate_paper
from twintier.inmf.perception.paper import MEANS_MHZ, PaperEpisodes, pattern
from twintier.inmf.perception.paper_inmf import PaperPerception
from twintier.protocol.messages import Site

PAPER = PaperPerception()


def site(city: str) -> Site:
    return Site(city=city, road="any", lat_deg=0.0, lon_deg=0.0)


def test_a_city_has_one_task_and_another_city_another() -> None:
    first, again, other = (PAPER.emulator(site(city)) for city in ("Oslo", "Oslo", "Bonn"))
    assert first == again != other
    assert set(first.pattern_mhz) == set(MEANS_MHZ)


def test_a_fit_changes_nothing_for_a_task_is_known() -> None:
    emulator = PAPER.emulator(site("Oslo"))
    assert emulator.fit({"bandwidth_hz": np.array([1e6])}) == emulator


def test_measured_fields_give_the_observations_of_the_episodes() -> None:
    batch = PaperEpisodes(pattern(5.0), 2, np.random.default_rng(1))
    rows = {
        "bandwidth_hz": batch.bandwidth_hz.reshape(-1),
        "objects": batch.objects.reshape(-1, 3),
        "distance_m": batch.distance_m.reshape(-1, 3),
    }
    assert np.array_equal(PAPER.observe(rows), batch.observe_all().reshape(-1, 7))


def test_the_rule_takes_the_best_modes_of_each_slot() -> None:
    batch = PaperEpisodes(pattern(5.0), 1, np.random.default_rng(2))
    best = enumerate_paper(batch)[0]
    for slot in range(10):
        row = {
            "bandwidth_hz": batch.bandwidth_hz[0, slot],
            "objects": batch.objects[0, slot],
            "distance_m": batch.distance_m[0, slot],
        }
        assert PAPER.rule().decide(row)[1].tolist() == best[slot].tolist()


def test_a_pattern_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern_mhz must be 75 numbers"):
        PAPER.emulator_of({"pattern_mhz": [5.0]})
