"""Modules that the torch engine refuses, or is in danger of running wrongly."""

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """One hidden layer with something between that and the outputs."""

    def __init__(self, observation_dim: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(observation_dim, 4)
        self.between = self.layer()
        self.output = nn.Linear(4, outputs)

    def layer(self) -> nn.Module:
        return nn.Tanh()

    def forward(self, observations: Tensor) -> Tensor:
        outputs: Tensor = self.output(self.between(self.hidden(observations)))
        return outputs


class BatchNorm(Plain):
    def layer(self) -> nn.Module:
        return nn.BatchNorm1d(4, track_running_stats=False)


class Dropout(Plain):
    def layer(self) -> nn.Module:
        return nn.Dropout(0.1)


class QuietDropout(Plain):
    def layer(self) -> nn.Module:
        return nn.Dropout(0.0)


class Centred(Plain):
    """Depends on the other rows without any layer that says so."""

    def forward(self, observations: Tensor) -> Tensor:
        outputs: Tensor = self.output(observations.new_zeros(4) + self.hidden(observations))
        return torch.sub(outputs, self.hidden(observations).mean())


class Noisy(Plain):
    def forward(self, observations: Tensor) -> Tensor:
        return super().forward(observations + torch.randn_like(observations))


class Bounded(Plain):
    def forward(self, observations: Tensor) -> Tensor:
        return super().forward(observations).tanh()


class Detached(Plain):
    def forward(self, observations: Tensor) -> Tensor:
        return super().forward(observations).detach()


class Wide(Plain):
    def forward(self, observations: Tensor) -> Tensor:
        return super().forward(observations).repeat(1, 2)


class Flat(Plain):
    def forward(self, observations: Tensor) -> Tensor:
        return super().forward(observations[:, :1])


class Empty(Plain):
    def __init__(self, observation_dim: int, outputs: int) -> None:
        del observation_dim, outputs
        nn.Module.__init__(self)


class Scaled(Plain):
    """A constant of its own, which is no parameter but has to follow type and device."""

    def __init__(self, observation_dim: int, outputs: int) -> None:
        super().__init__(observation_dim, outputs)
        self.register_buffer("scale", torch.full((observation_dim,), 0.1, dtype=torch.float64))

    def forward(self, observations: Tensor) -> Tensor:
        scale = self.get_buffer("scale")
        return super().forward(scale * observations)


class Linear(nn.Linear):
    """Nothing but the output layer: no second derivative by its parameters."""

    def __init__(self, observation_dim: int, outputs: int) -> None:
        super().__init__(observation_dim, outputs)
