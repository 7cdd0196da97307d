"""The third kind of policy: an encoder of recent transitions instead of calibrated parameters.

Each transition (what was seen, done and earned) goes through one network; the mean over them is a
context that does not depend on their order (Zaheer et al., arXiv 1703.06114; Rakelly et al., arXiv
1903.08254), and a second network values every choice of actions from observation and context. No
model form is needed where it acts; where it is trained, the emulator tells what every choice is
worth. The largest expected value is then the right choice also while the condition is uncertain;
learning the best choice by cross-entropy is not, and earned half as much. Gradients are torch's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log1p

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from twintier.inmf.spec import Observation
from twintier.learning.errors import NumericsError

Choices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Sizes and training; all assumed, found on the hidden conditions of the meta bench."""

    observation_dim: int
    transition_dim: int
    """Numbers of a transition."""
    choices: int
    """Joint choices of actions, 2^A of A yes-or-no components."""
    transition_hidden: int = 96
    context_dim: int = 32
    policy_hidden: int = 128
    longest: int = 300
    """Transitions beyond which more count as so many; training shows no more."""
    value_scale: float = 3.0
    """Reward of a unit of the outputs."""
    passes: int = 4
    """Steps on each batch, each with other transitions known."""
    learning_rate: float = 3e-3
    """Of Adam, falling linearly to a twentieth."""


@dataclass(frozen=True, slots=True)
class EncoderBatch:
    """Tasks to learn from."""

    transitions: Observation
    """(tasks, n, transition_dim) float32; training shows some of them, in any order."""
    observations: Observation
    """(tasks, rows, observation_dim) float32."""
    worth: Observation
    """(tasks, rows, choices) float32 reward of every choice, by the emulator."""


DrawBatch = Callable[[np.random.Generator], EncoderBatch]


class EncoderPolicy(nn.Module):
    """Values choices of actions from an observation and the transitions that are known."""

    def __init__(self, settings: EncoderSettings, rng: np.random.Generator) -> None:
        """Draw the weights, uniform within 1/sqrt(fan-in)."""
        super().__init__()
        self.settings = settings
        wide, narrow = settings.transition_hidden, settings.context_dim
        self._encode = _network((settings.transition_dim, wide, wide, narrow))
        hidden = settings.policy_hidden
        seen = settings.observation_dim + narrow + 1
        self._decide = _network((seen, hidden, hidden, settings.choices))
        self._draw(rng)

    def context(self, transitions: Tensor, counts: Tensor) -> Tensor:
        """What transitions say, (tasks, context_dim + 1); zeros if there are none.

        Args:
            transitions: (tasks, n, transition_dim).
            counts: (tasks,) how many of each task count, the first ones.
        """
        known = torch.arange(transitions.shape[1]) < counts[:, None]
        owner = known.nonzero()[:, 0]
        total = transitions.new_zeros(len(counts), self.settings.context_dim)
        total = total.index_add(0, owner, self._encode(transitions[known]))
        number = counts.to(transitions.dtype)[:, None]
        longest = self.settings.longest
        amount = torch.log1p(number.clamp(max=longest)) / log1p(longest)
        return torch.cat([total / number.clamp(min=1.0), amount], -1)

    def forward(self, observations: Tensor, context: Tensor) -> Tensor:
        """Value of each choice in `value_scale`, (tasks, rows, choices)."""
        shown = context[:, None].expand(len(observations), observations.shape[1], -1)
        values: Tensor = self._decide(torch.cat([observations, shown], -1))
        return values

    @torch.no_grad()
    def summary(self, transitions: Observation) -> Tensor:
        """The context of one PLVN's transitions (n, transition_dim)."""
        known = torch.from_numpy(transitions)[None]
        return self.context(known, torch.tensor([known.shape[1]]))

    @torch.no_grad()
    def choose(self, observations: Observation, context: Tensor) -> Choices:
        """Best choice of each row.

        Args:
            observations: (..., rows, dim) float32.
            context: (1, ...) of one PLVN, or with the leading axis of the observations.

        Returns:
            (..., rows).
        """
        seen = torch.from_numpy(observations)
        values = self(seen if seen.dim() == 3 else seen[None], context)
        return np.asarray(values.argmax(-1).reshape(seen.shape[:-1]).numpy(), np.int64)

    def _draw(self, rng: np.random.Generator) -> None:
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    limit = layer.in_features**-0.5
                    for parameter in layer.parameters():
                        drawn = rng.uniform(-limit, limit, tuple(parameter.shape))
                        parameter.copy_(torch.from_numpy(drawn))


def _network(sizes: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def train_encoder(
    policy: EncoderPolicy, draw: DrawBatch, batches: int, rng: np.random.Generator
) -> float:
    """Teach the policy, in place, what choices are worth.

    Args:
        policy: the policy; what was learned before is kept.
        draw: new tasks for each batch.
        batches: batches, each for as many steps of Adam as the settings say.
        rng: source of the tasks, and of what is known of them.

    Returns:
        Mean squared error of the last tenth of the batches, in `value_scale` squared.

    Raises:
        NumericsError: if an error is not finite; the step is not taken.
    """
    settings = policy.settings
    adam = torch.optim.Adam(policy.parameters(), settings.learning_rate)
    errors = []
    for number in range(batches):
        adam.param_groups[0]["lr"] = settings.learning_rate * (1.0 - 0.95 * number / batches)
        batch = draw(rng)
        for _ in range(settings.passes):
            error = value_error(policy, batch, rng)
            if not torch.isfinite(error):
                raise NumericsError(
                    f"the encoder's error is not finite in batch {number}; check the transitions"
                )
            parameters = list(policy.parameters())
            slopes = torch.autograd.grad(error, parameters)
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.grad = slope
            adam.step()
            errors.append(error.item())
    return float(np.mean(errors[-max(1, len(errors) // 10) :]))


def value_error(policy: EncoderPolicy, batch: EncoderBatch, rng: np.random.Generator) -> Tensor:
    """Mean squared error of the values where a random part of the transitions is known.

    How many is log-uniform from none to `longest`, for each task apart.
    """
    settings = policy.settings
    tasks, there, _ = batch.transitions.shape
    most = min(there, settings.longest)
    counts = np.expm1(rng.uniform(0.0, log1p(most + 1) - 1e-9, tasks)).astype(np.int64)
    shown = batch.transitions[:, rng.permutation(there)[:most]]
    context = policy.context(torch.from_numpy(shown), torch.from_numpy(np.minimum(counts, most)))
    values = policy(torch.from_numpy(batch.observations), context)
    return nn.functional.mse_loss(values, torch.from_numpy(batch.worth) / settings.value_scale)
