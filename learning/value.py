"""A value function that is a network, as peers of this project have it.

The linear one of `learning.linear_value` is the default: it is an order cheaper and as good on the
case study. This one is for long horizons and for comparisons on equal terms.
"""

import numpy as np

from twintier.inmf.spec import Array as Values
from twintier.inmf.spec import Mlp, Observation
from twintier.learning.aggregate import Adam
from twintier.learning.engines.numpy import OUTPUT_GAIN, MlpNetwork
from twintier.learning.engines.port import Array
from twintier.learning.errors import NumericsError


class ValueNetwork:
    """A tanh network from observation to value, trained on returns."""

    def __init__(
        self,
        observation_dim: int,
        rng: np.random.Generator,
        *,
        hidden: tuple[int, ...] = (64, 64),
        learning_rate: float = 1e-3,
        epsilon: float = 1e-8,
    ) -> None:
        """Start with small outputs: fan-in scaled weights, zero biases."""
        self.network = MlpNetwork(Mlp(hidden), observation_dim, 1)
        self.parameters: Array = self.network.initial(rng)
        """(n,) float32 flat vector."""
        self.network.scale_outputs(self.parameters, 1.0 / OUTPUT_GAIN)
        self._adam = Adam(learning_rate, epsilon=epsilon)

    def predict(self, observations: Observation) -> Values:
        """Value of each slot.

        Args:
            observations: (episodes, slots, dim) float32.

        Returns:
            (episodes, slots + 1) float64, unit of the returns; the last column is 0.
        """
        episodes, slots, dim = observations.shape
        value = np.zeros((episodes, slots + 1))
        rows = self.network.run(self.parameters, observations.reshape(-1, dim)).outputs
        value[:, :-1] = rows.reshape(episodes, slots)
        return value

    def fit(
        self,
        observations: Observation,
        target: Values,
        *,
        passes: int,
        minibatch_slots: int,
        rng: np.random.Generator,
    ) -> None:
        """Move towards `target` by minibatches of squared error.

        Args:
            observations: (episodes, slots, dim) float32.
            target: (episodes, slots) float64 returns.
            passes: passes over all slots.
            minibatch_slots: slots of a minibatch.
            rng: source of the minibatches' order.

        Raises:
            NumericsError: if the result is not finite; the parameters stay as they were.
        """
        rows = observations.reshape(-1, observations.shape[-1])
        goal = target.reshape(-1, 1).astype(np.float32)
        current: Array = self.parameters
        for _ in range(passes):
            order = rng.permutation(goal.size)
            for start in range(0, goal.size, minibatch_slots):
                chosen = order[start : start + minibatch_slots]
                gradient = self.gradient(current, rows[chosen], goal[chosen])
                current = self._adam.step(current, gradient)
        if not np.isfinite(current).all():
            raise NumericsError("the value network is not finite; check the rewards")
        self.parameters = current

    def gradient(self, parameters: Array, rows: Array, goal: Array) -> Array:
        """Gradient of half the mean squared error, (n,), at any parameters."""
        forward = self.network.run(parameters, rows)
        gradient = np.empty_like(parameters)
        forward.write_gradient((forward.outputs - goal) / goal.size, gradient)
        return gradient
