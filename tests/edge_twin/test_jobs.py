"""What jobs of the edge twin draw, and where they start."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.edge_twin.managing import EMULATOR, POLICY, ZEROS
from tests.edge_twin.played import CLEAR, played, rows_of
from tests.support.names import COOP_PERCEPTION
from twintier.edge_twin.jobs import AdaptationJob, MetaTask, Start, TaskTwin
from twintier.inmf.contract import Columns, Emulator
from twintier.inmf.episodes import EpisodeBatch, Replayed
from twintier.inmf.spec import Array
from twintier.learning.adapt import AdaptationSettings
from twintier.learning.meta import MetaSettings
from twintier.learning.policy import initial_parameters
from twintier.protocol.ids import PlvnId

FAR = 1e-3
"""As each of a calibration's hidden parameters: no expert's prior draws it."""


@dataclass(frozen=True)
class Noting:
    """The expert's emulator; notes with which hidden parameters it was drawn from."""

    noted: list[Array] = field(default_factory=list)

    def fit(self, measured: Columns) -> Emulator:
        del measured
        return self

    def to_dict(self) -> dict[str, object]:
        return {}

    def draw(
        self, episodes: int, rng: np.random.Generator, hidden: Array | None = None
    ) -> EpisodeBatch:
        assert hidden is not None
        self.noted.append(hidden)
        return EMULATOR.draw(episodes, rng, hidden)

    def replay(
        self, true: Columns, hidden: Array | None = None, slots: int | None = None
    ) -> Replayed | None:
        return EMULATOR.replay(true, hidden, slots)


def share_of_prior(prior_share: float, twins: int) -> float:
    """Share of tasks that were drawn from the prior though a calibration was there."""
    emulator = Noting()
    particles = np.full((1, CLEAR.as_array().size), FAR)
    task = MetaTask(
        COOP_PERCEPTION,
        tuple(TaskTwin(PlvnId(f"p{n}"), emulator, particles, seed=n) for n in range(twins)),
        ZEROS,
        ZEROS,
        MetaSettings(inner_steps=0, episodes=1),
        prior_share,
    )
    task.run()
    assert len(emulator.noted) == twins
    return float(np.mean([not np.all(hidden == FAR) for hidden in emulator.noted]))


@pytest.mark.parametrize(
    ("prior_share", "low", "high"), [(0.0, 0, 0), (0.2, 0.02, 0.4), (1.0, 1, 1)]
)
def test_as_many_tasks_as_set_have_an_expert_s_hidden_parameters(
    prior_share: float, low: float, high: float
) -> None:
    assert low <= share_of_prior(prior_share, twins=30) <= high


def test_an_adaptation_starts_where_the_reward_is_highest_whatever_the_order() -> None:
    rng = np.random.default_rng(4)
    starts = [
        Start("present_model", initial_parameters(POLICY, rng) * scale, None)
        for scale in (1.0, 30.0, -30.0)
    ]
    found = set()
    for order in (starts, starts[::-1]):
        job = AdaptationJob(
            inmf=COOP_PERCEPTION,
            starts=tuple(order),
            origin=None,
            emulator=EMULATOR,
            true=rows_of(played(CLEAR, 30, 1)),
            known=None,
            settings=AdaptationSettings(meta_steps=0, updates=0, episodes=2),
            evaluation_episodes=4,
            seed=3,
        )
        found.add(id(job.run().origin))
    assert len(found) == 1
