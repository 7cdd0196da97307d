"""The bound against every course of tiny episodes, and against any play of long ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inmf.vnf_scaling.played import episodes_of, every_course, hidden_of
from twintier.inmf.check.subject import SITE
from twintier.inmf.vnf_scaling.bound import Clairvoyant
from twintier.inmf.vnf_scaling.calibration import VnfCalibration
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.slots import SPEC

BOUND = Clairvoyant()


@pytest.mark.parametrize("lag", [1, 3, 6])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_the_best_of_all_courses_where_backlogs_lie_on_its_grid(
    lag: int, seed: int
) -> None:
    met = np.random.default_rng(seed).integers(0, 140, (1, 6)) / 20.0
    courses = every_course(6)
    many = episodes_of(np.repeat(met, len(courses), axis=0), hidden_of(lag=lag), backlog_s=0.5)
    best = many.rewards(courses).sum(axis=1).max()
    one = episodes_of(met, hidden_of(lag=lag), backlog_s=0.5)
    assert BOUND(one) == pytest.approx([best], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), upward=st.floats(0.05, 0.9))
def test_nobody_beats_the_bound(seed: int, upward: float) -> None:
    rng = np.random.default_rng(seed)
    batch = expert(SITE).draw(3, rng, VnfCalibration().prior(3, rng))
    chances = [1.0 - upward, upward / 2, upward / 4, upward / 4]
    actions = rng.choice(4, size=(3, SPEC.slots, 1), p=chances)
    assert (batch.rewards(actions).sum(axis=1) <= BOUND(batch) + 1e-9).all()


def test_a_bound_is_for_its_own_episodes() -> None:
    with pytest.raises(TypeError, match="own episodes"):
        BOUND(object())  # type: ignore[arg-type]
