"""Networks as an INMF may bring them, for benchmarks and the contract suite of engines."""

from itertools import pairwise

from torch import Tensor, nn


class TanhMlp(nn.Module):
    """The built-in network as a module."""

    def __init__(self, observation_dim: int, outputs: int, width: int, depth: int = 2) -> None:
        """Stack `depth` hidden layers of `width` units."""
        super().__init__()
        sizes = (observation_dim, *([width] * depth), outputs)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [nn.Linear(fan_in, fan_out), nn.Tanh()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, observations: Tensor) -> Tensor:
        """(rows, outputs) of (rows, observation_dim)."""
        outputs: Tensor = self.layers(observations)
        return outputs


class GruPolicy(nn.Module):
    """A recurrent network over the window of slots that an observation holds, oldest first."""

    def __init__(self, observation_dim: int, outputs: int, window: int, units: int) -> None:
        """Take `observation_dim` as `window` slots of equally many features.

        Raises:
            ValueError: if that does not come out even.
        """
        super().__init__()
        if observation_dim % window:
            raise ValueError(f"{observation_dim} numbers are no {window} slots of equal length")
        self.slots = (window, observation_dim // window)
        self.memory = nn.GRU(self.slots[1], units, batch_first=True)
        self.output = nn.Linear(units, outputs)

    def forward(self, observations: Tensor) -> Tensor:
        """(rows, outputs) of (rows, observation_dim)."""
        slots = observations.reshape(-1, *self.slots)
        outputs: Tensor = self.output(self.memory(slots)[0][:, -1])
        return outputs
