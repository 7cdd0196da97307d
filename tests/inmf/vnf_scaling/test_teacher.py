"""The teacher's worth: a network that follows it plays better than the rule."""

import numpy as np
import pytest

from twintier.inmf.actor import Actor, PolicySpec
from twintier.inmf.check.subject import SITE
from twintier.inmf.evaluate import greedy_actions
from twintier.inmf.spec import Mlp
from twintier.inmf.vnf_scaling.emulator import expert
from twintier.inmf.vnf_scaling.rule import Provisioning
from twintier.inmf.vnf_scaling.slots import SPEC
from twintier.learning.aggregate import Adam
from twintier.learning.policy import Policy, initial_parameters
from twintier.learning.teacher import teacher_gradient

POLICY = PolicySpec(SPEC.observation_dim, SPEC.actions, Mlp((64, 64)))
EMULATOR = expert(SITE)


@pytest.mark.slow
def test_thirty_steps_of_the_teacher_beat_the_rule() -> None:
    hidden = np.array([[3.0, 0.1, 1.0]])
    held_out = EMULATOR.draw(64, np.random.default_rng(99), hidden)
    rng = np.random.default_rng(0)
    policy, adam = Policy.of(POLICY), Adam(3e-3)
    parameters = initial_parameters(policy, rng)
    for _ in range(30):
        batch = EMULATOR.draw(10, rng, hidden)
        parameters = adam.step(
            parameters, teacher_gradient(policy, parameters, batch, rng).gradient
        )
    learned = held_out.rewards(greedy_actions(Actor(POLICY, parameters), held_out)).mean()
    ruled = held_out.rewards(Provisioning().actions(held_out)).mean()
    assert learned > ruled
