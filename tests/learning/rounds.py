"""Rounds of meta training on the toy world, without torch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.learning.toys import ToyEpisodes, toy_episodes
from twintier.inmf.actor import PolicySpec
from twintier.inmf.spec import Mlp, MultiBinary
from twintier.learning.emulated import adaptation_gradients
from twintier.learning.meta import MetaGradient, MetaSettings
from twintier.learning.policy import Policy, initial_parameters

SPEC = PolicySpec(4, MultiBinary(2), Mlp((6, 5)))
POLICY = Policy.of(SPEC)
SETTINGS = MetaSettings(inner_steps=2, episodes=3, initial_step_size=0.2, normalise_outer=True)


def meta_gradients(
    seeds: list[int], settings: MetaSettings = SETTINGS, *, exogenous: bool = False
) -> list[MetaGradient]:
    def make_batches(rngs: Sequence[np.random.Generator]) -> ToyEpisodes:
        parts = [toy_episodes(3, rng, switching_cost=0.2) for rng in rngs]
        return replace(parts[0], x=np.concatenate([p.x for p in parts]), exogenous=exogenous)

    parameters = initial_parameters(POLICY, np.random.default_rng(0)) * 3
    return adaptation_gradients(
        POLICY,
        parameters,
        settings.initial_log_step_sizes(POLICY),
        make_batches,
        settings=settings,
        rngs=[np.random.default_rng(seed) for seed in seeds],
    )
