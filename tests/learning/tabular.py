"""A Markov decision process so small that every path can be written down.

The policy takes action 1 in state s with probability sigmoid(logits[s]), so expected returns,
their gradients and their Hessians are known exactly.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from twintier.learning.autograd import surrogate_loss
from twintier.learning.surrogate import Surrogate

STATES, ACTIONS, SLOTS = 3, 2, 3


@dataclass(frozen=True)
class Tabular:
    reward: Tensor
    """(states, actions)."""
    transition: Tensor
    """(states, actions, states)."""

    @cached_property
    def paths(self) -> tuple[Tensor, Tensor, Tensor]:
        """States (paths, slots), actions (paths, slots) and the world's share of probability."""
        choices = product(range(STATES), range(ACTIONS), repeat=SLOTS)
        table = torch.tensor(list(choices)).reshape(-1, SLOTS, 2)
        states, actions = table[..., 0], table[..., 1]
        moves = self.transition[states[:, :-1], actions[:, :-1], states[:, 1:]]
        return states, actions, moves.prod(-1) / STATES

    def log_prob(self, logits: Tensor) -> Tensor:
        """(paths, slots)."""
        states, actions, _ = self.paths
        return logsigmoid(logits[states] * (2.0 * actions - 1.0))

    def probability(self, logits: Tensor) -> Tensor:
        """(paths,)."""
        return self.paths[2] * self.log_prob(logits).sum(-1).exp()

    def expected_return(self, logits: Tensor) -> Tensor:
        states, actions, _ = self.paths
        return (self.probability(logits) * self.reward[states, actions].sum(-1)).sum()

    def advantage(self, logits: Tensor) -> Tensor:
        """Exact Q - V of each path's slots, (paths, slots)."""
        states, actions, _ = self.paths
        up = torch.sigmoid(logits)
        policy = torch.stack([1.0 - up, up], -1)
        value = torch.zeros(STATES, dtype=torch.float64)
        columns: list[Tensor] = []
        for slot in reversed(range(SLOTS)):
            quality = self.reward + self.transition @ value
            value = (policy * quality).sum(-1)
            columns.insert(0, (quality - value[:, None])[states[:, slot], actions[:, slot]])
        return torch.stack(columns, -1)

    def expected_surrogate(self, kind: Surrogate, logits: Tensor) -> Tensor:
        """The surrogate loss in expectation over paths of the policy itself."""
        here = logits.detach()
        weight = self.probability(here)[:, None] * self.advantage(here)
        now = self.log_prob(logits)
        return surrogate_loss(kind, now, self.log_prob(here), weight * weight.numel())


def tabular(seed: int, *, exogenous: bool) -> Tabular:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(STATES, 0.5), (STATES, ACTIONS))
    if exogenous:
        transition[:, 1] = transition[:, 0]
    reward = rng.normal(size=(STATES, ACTIONS))
    return Tabular(torch.from_numpy(reward), torch.from_numpy(transition))


def start(seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(100 + seed).normal(size=STATES))
