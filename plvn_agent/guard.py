"""Holds a model that explores in a live network to what the baseline earned there before."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from twintier.inmf.spec import InmfSpec

MARGIN = 0.15
"""Share of the baseline's reward that a model may miss (assumed)."""


@dataclass(slots=True)
class Guard:
    """Trips when a model's mean reward over a window is far below the baseline's of late.

    Without a slot of the baseline's there is nothing to hold a model to, and it never trips. Once
    tripped it stays so until the next order.
    """

    spec: InmfSpec
    tripped: bool = False
    rule: deque[float] = field(default_factory=deque)
    """Rewards of the baseline's newest slots."""
    model: deque[float] = field(default_factory=deque)
    """Rewards of the model's newest slots."""

    def following(self) -> "Guard":
        """The guard of the next order: nothing is held against it but the baseline."""
        return Guard(self.spec, rule=self.rule)

    def fork(self) -> "Guard":
        """A guard that goes on from here by itself."""
        return Guard(self.spec, self.tripped, deque(self.rule), deque(self.model))

    def add(self, reward: float, *, of_rule: bool) -> bool:
        """Take in a slot; returns whether the guard trips now."""
        windows = self.spec.windows
        rewards, most = (self.rule, windows.performance) if of_rule else (self.model, windows.batch)
        rewards.append(reward)
        if len(rewards) > most:
            rewards.popleft()
        if of_rule or self.tripped or not self.rule or len(self.model) < windows.batch:
            return False
        reference = float(np.mean(self.rule))
        margin = max(self.spec.reward_floor, MARGIN * abs(reference))
        self.tripped = float(np.mean(self.model)) < reference - margin
        return self.tripped
