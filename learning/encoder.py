"""The third kind of policy: an encoder of recent transitions instead of calibrated parameters.

Each transition (what was seen, done and earned) goes through one network; the mean over them is a
context that does not depend on their order (Zaheer et al., arXiv 1703.06114; Rakelly et al., arXiv
1903.08254), and a second network chooses modes from observation and context. No model form is
needed where it acts; where it is trained, the emulator tells what every choice is worth.
Gradients are torch's, because nothing here is hot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log1p

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inmf.spec import Observation
from learning.errors import NumericsError

Choices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Sizes and training; all assumed, found on `coop-perception-hidden` v1."""

    observation_dim: int
    transition_dim: int
    """Numbers of a transition."""
    choices: int
    """Joint choices of modes, 2^A."""
    transition_hidden: int = 64
    context_dim: int = 32
    policy_hidden: int = 96
    longest: int = 300
    """Transitions beyond which more count as so many; training shows no more."""
    learning_rate: float = 3e-3
    """Of Adam, falling linearly to a twentieth."""


@dataclass(frozen=True, slots=True)
class EncoderBatch:
    """Tasks to learn from."""

    transitions: Observation
    """(tasks, n, transition_dim) float32; rows beyond a task's count do not count."""
    counts: Choices
    """(tasks,) transitions that are known of each task, 0 to n."""
    observations: Observation
    """(tasks, rows, observation_dim) float32."""
    worth_j: Observation
    """(tasks, rows, choices) float32 J of every choice, by the emulator."""


DrawBatch = Callable[[np.random.Generator], EncoderBatch]


class EncoderPolicy(nn.Module):
    """Chooses modes from an observation and the transitions that are known."""

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
        """Logits of the choices, (tasks, rows, choices)."""
        shown = context[:, None].expand(-1, observations.shape[1], -1)
        logits: Tensor = self._decide(torch.cat([observations, shown], -1))
        return logits

    @torch.no_grad()
    def summary(self, transitions: Observation) -> Tensor:
        """The context of one PLVN's transitions (n, transition_dim)."""
        known = torch.from_numpy(transitions)[None]
        return self.context(known, torch.tensor([known.shape[1]]))

    @torch.no_grad()
    def choose(self, observations: Observation, context: Tensor) -> Choices:
        """Choice of highest logit, (rows,), of one PLVN's observations (rows, dim)."""
        logits = self(torch.from_numpy(observations)[None], context)
        return np.asarray(logits[0].argmax(-1).numpy(), np.int64)

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
    policy: EncoderPolicy, draw: DrawBatch, steps: int, rng: np.random.Generator
) -> float:
    """Teach the policy, in place, to lose little against the best choices.

    Args:
        policy: the policy; what was learned before is kept.
        draw: new tasks for each step.
        steps: steps of Adam.
        rng: source of the tasks.

    Returns:
        Mean regret of the last tenth of the steps, in J a slot.

    Raises:
        NumericsError: if a loss is not finite; the step is not taken.
    """
    rate = policy.settings.learning_rate
    adam = torch.optim.Adam(policy.parameters(), rate)
    losses = []
    for step in range(steps):
        adam.param_groups[0]["lr"] = rate * (1.0 - 0.95 * step / steps)
        loss = regret(policy, draw(rng))
        if not torch.isfinite(loss):
            raise NumericsError(
                f"the encoder's loss is not finite at step {step}; check the transitions"
            )
        parameters = list(policy.parameters())
        slopes = torch.autograd.grad(loss, parameters)
        for parameter, slope in zip(parameters, slopes, strict=True):
            parameter.grad = slope
        adam.step()
        losses.append(loss.item())
    return float(np.mean(losses[-max(1, steps // 10) :]))


def regret(policy: EncoderPolicy, batch: EncoderBatch) -> Tensor:
    """Mean J that the softmax of the logits loses against the best choices.

    Not the cross-entropy with the best choice: while the condition is uncertain, a choice that is
    seldom best and never dear may be the one to take.
    """
    context = policy.context(torch.from_numpy(batch.transitions), torch.from_numpy(batch.counts))
    chosen = policy(torch.from_numpy(batch.observations), context).softmax(-1)
    worth = torch.from_numpy(batch.worth_j)
    lost: Tensor = (worth.amax(-1) - (chosen * worth).sum(-1)).mean()
    return lost
