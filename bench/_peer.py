"""Stable-Baselines3 on the case study, as fast as it can go: a natively batched VecEnv.

Rewards of all choices of modes are solved for the whole batch at reset, so a step is a look-up; a
peer whose every step called the solver would only measure the solver.
"""

from collections.abc import Iterable
from time import process_time
from typing import Any

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.vec_env import VecEnv

from twintier.inmf.perception.paper import COOP_PERCEPTION_PAPER, TASK_LOW, PaperEpisodes
from twintier.inmf.spec import Array, Observation

SPEC = COOP_PERCEPTION_PAPER
LIMIT = 100.0
"""The peer wants bounded actions; only their signs matter."""
REWARD_SCALE = 0.1
"""Keeps returns near 10 for the value networks, here and there; advantages do not feel it."""


class CaseStudyEnvs(VecEnv):
    """Ten episodes of task 1 at a time."""

    def __init__(self, episodes: int, seed: int) -> None:
        """Draw the first episodes."""
        super().__init__(
            episodes,
            gymnasium.spaces.Box(-np.inf, np.inf, (SPEC.observation_dim,), np.float32),
            gymnasium.spaces.Box(-LIMIT, LIMIT, (SPEC.action_dim,), np.float32),
        )
        self._rng = np.random.default_rng(seed)
        self.returns_j: list[float] = []
        """Mean return of the episodes of each epoch so far."""
        self.ended_s: list[float] = []
        """CPU time at the end of each epoch's episodes."""
        self._draw()

    def _draw(self) -> None:
        batch = PaperEpisodes(TASK_LOW, self.num_envs, self._rng)
        nobody = np.zeros((self.num_envs, SPEC.slots, SPEC.action_dim), bool)
        self._rewards = batch.scores(nobody)
        self._seen = batch.observe_all()
        self._slot, self._total = 0, np.zeros(self.num_envs)

    def reset(self) -> Observation:
        """Start new episodes."""
        self._draw()
        return self._seen[:, 0]

    def step_async(self, actions: Array) -> None:
        """Remember the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, Array, Array, list[dict[str, Observation]]]:
        """Look the rewards up and move on."""
        chosen = (self._actions >= 0.0) @ (1 << np.arange(SPEC.action_dim))
        reward = self._rewards[np.arange(self.num_envs), self._slot, chosen]
        self._total += reward
        self._slot += 1
        done = self._slot == SPEC.slots
        infos: list[dict[str, Observation]] = [{} for _ in range(self.num_envs)]
        if done:
            self.returns_j.append(float(self._total.mean()))
            self.ended_s.append(process_time())
            infos = [{"terminal_observation": row} for row in self._seen[:, -1]]
            self._draw()
        seen = self._seen[:, self._slot]
        return seen, REWARD_SCALE * reward, np.full(self.num_envs, done), infos

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[object]:
        """One attribute, for each environment."""
        del indices
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(
        self, attr_name: str, value: object, indices: int | Iterable[int] | None = None
    ) -> None:
        """Set an attribute for all."""
        del indices
        setattr(self, attr_name, value)

    def env_method(self, *_: object, **__: object) -> list[object]:
        """Environments have no methods of their own."""
        return []

    def env_is_wrapped(self, *_: object, **__: object) -> list[bool]:
        """None is wrapped."""
        return [False] * self.num_envs


def learner(envs: CaseStudyEnvs, seed: int) -> Any:  # noqa: ANN401  # the peer has no types
    """PPO with the bench's network, passes and minibatches, on one thread."""
    torch.set_num_threads(1)
    return stable_baselines3.PPO(
        "MlpPolicy",
        envs,
        learning_rate=1e-3,
        n_steps=SPEC.slots,
        batch_size=75,
        n_epochs=10,
        gamma=SPEC.gamma,
        gae_lambda=SPEC.gae_lambda,
        max_grad_norm=1e9,
        policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
        device="cpu",
        seed=seed,
    )
