"""One PLVN: Gymnasium's cart and pole in a side wind that nobody measures."""

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from twintier.inmf.contract import ACTION, REWARD, Row
from twintier.inmf.episodes import Actions
from twintier.inmf.traffic import WorldSeed

from .inmf import ANGLE_RAD, FASTEST, X_M

FALL = -10.0
"""Reward of the slot in which the pole falls or the cart leaves its track."""
LARGEST_WIND = 1.0
GALE = 3.0
"""Winds that turn the pole, in rad/s^2: at most at first, and against the first afterwards."""


class Cart:
    """An endless run: where the environment ends an episode, the next one begins."""

    def __init__(self, seed: WorldSeed, changes_s: tuple[float, float]) -> None:
        """Draw the wind, and when it changes."""
        rng = seed.generator("cart-pole")
        self._env = gymnasium.make("CartPole-v1")
        cart = self._env.unwrapped
        assert isinstance(cart, CartPoleEnv)
        self._cart = cart
        self._wind = float(rng.uniform(-LARGEST_WIND, LARGEST_WIND))
        self.changes_at_s = np.inf if seed.constant else float(rng.uniform(*changes_s))
        self._state, _ = self._env.reset(seed=int(rng.integers(2**31)))

    def wind(self, sim_time_s: float) -> float:
        """What turns the pole beside gravity, in rad/s^2."""
        return self._wind if sim_time_s < self.changes_at_s else -GALE * float(np.sign(self._wind))

    def fields(self) -> Row:
        """What the environment shows, within the limits of the INMF's fields."""
        position_m, speed_mps, angle_rad, turning_radps = np.asarray(self._state, np.float64)
        return {
            "position_m": np.clip(position_m, -X_M, X_M),
            "speed_mps": np.clip(speed_mps, -FASTEST, FASTEST),
            "angle_rad": np.clip(angle_rad, -ANGLE_RAD, ANGLE_RAD),
            "turning_radps": np.clip(turning_radps, -FASTEST, FASTEST),
        }

    def act(self, action: Actions, sim_time_s: float) -> Row:
        """Step the environment, and let the wind blow."""
        _, _, fell, truncated, _ = self._env.step(int(action[0]))
        gust = np.array([0.0, 0.0, 0.0, self.wind(sim_time_s) * self._cart.tau])
        self._cart.state = np.asarray(self._cart.state) + gust
        self._state = self._cart.state
        off_middle, lean = self._state[0] / X_M, self._state[2] / ANGLE_RAD
        reward = FALL if fell else 1.0 - 0.5 * off_middle**2 - 0.5 * lean**2
        if fell or truncated:
            self._state, _ = self._env.reset()
        return {
            ACTION: np.asarray(action, np.float64),
            REWARD: np.array(reward),
            "fell": np.array(float(fell)),
        }
