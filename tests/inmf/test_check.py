"""The checks of an INMF find what is broken, and say what is not stated."""

from dataclasses import replace

import numpy as np
import pytest

from twintier.inmf.check import check
from twintier.inmf.check.subject import Subject
from twintier.inmf.check.suite import run_check
from twintier.inmf.contract import BoundKind, Columns, Inmf, Row, Rule
from twintier.inmf.episodes import Actions, EpisodeBatch
from twintier.inmf.spec import Array, Box, Field, InmfSpec, Observation
from twintier.inmf.vnf_scaling.inmf import VnfScaling


class Still:
    """A rule that never moves."""

    def decide(self, row: Row) -> tuple["Still", Actions]:
        del row
        return self, np.zeros(2, np.float32)

    def after(self, outcome: Row) -> "Still":
        del outcome
        return self


class Bare(Inmf):
    """What must be stated and nothing else, as a wrapped environment states it."""

    spec = InmfSpec(
        inmf="bare",
        observation_dim=2,
        actions=Box((-1.0, 0.0), (1.0, 2.0)),
        slots=10,
        slot_s=0.5,
        gamma=0.9,
        gae_lambda=0.9,
    )
    measured = (Field("speed_mps", "m/s", low=0.0, high=1.0), Field("gap", "m", nullable=True))

    def observe(self, rows: Columns) -> Observation:
        gap = np.nan_to_num(rows["gap"], nan=-1.0)
        return np.asarray(np.stack([rows["speed_mps"], gap.clip(-10, 10)], axis=-1), np.float32)

    def rule(self) -> Rule:
        return Still()


class Low:
    """A bound that is none."""

    kind: BoundKind = "ceiling"

    def __call__(self, batch: EpisodeBatch) -> Array:
        return np.zeros(batch.episodes)


class LowBound(VnfScaling):
    bound = Low()


class Impure(VnfScaling):
    """Observes the rows together, not one by one."""

    def observe(self, rows: Columns) -> Observation:
        seen = super().observe(rows)
        return np.asarray(seen - seen.mean(axis=0))


class Blind(VnfScaling):
    """Lets a missing number through."""

    measured = (
        replace(VnfScaling.measured[0], nullable=True),
        *VnfScaling.measured[1:],
    )


class Undeclared(VnfScaling):
    outcome = VnfScaling.outcome[:-1]


class Wasteful(VnfScaling):
    """Plays something else on emulated episodes than in a PLVN."""

    def rule_actions(self, batch: EpisodeBatch) -> Actions:
        return 2 - super().rule_actions(batch).clip(0, 2)


class Failing(VnfScaling):
    def observe(self, rows: Columns) -> Observation:
        raise ZeroDivisionError("no")


def test_an_inmf_that_states_only_what_it_must_passes() -> None:
    findings = check(Bare())
    assert [each for each in findings if not each.ok] == []
    unstated = [each.name for each in findings if each.what.startswith("not stated: ")]
    assert "nobody beats the bound" in unstated
    assert "world follows its seed" in unstated
    assert "observations are pure" not in unstated


@pytest.mark.parametrize(
    ("inmf", "name", "what"),
    [
        (LowBound(), "nobody beats the bound", "wins by"),
        (Impure(), "observations are pure", "alone differs"),
        (Blind(), "nullable fields are masked", "makes an observation NaN"),
        (Undeclared(), "world gives declared fields", "declared are"),
        (Wasteful(), "rule is one rule", "of the slots only"),
        (Failing(), "observations are pure", "ZeroDivisionError: no"),
    ],
)
def test_what_is_broken_is_found(inmf: Inmf, name: str, what: str) -> None:
    finding = run_check(name, Subject(inmf))
    assert not finding.ok
    assert what in finding.what
