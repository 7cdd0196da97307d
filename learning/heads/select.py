"""From a space of actions to the head that samples it."""

from twintier.inmf.spec import ActionSpace, Box, Discrete, MultiBinary
from twintier.learning.heads.categorical import Categorical
from twintier.learning.heads.gaussian import Gaussian
from twintier.learning.heads.port import Head
from twintier.learning.heads.thresholded import ThresholdedGaussian


def head_for(space: ActionSpace) -> Head:
    """The head of a space."""
    match space:
        case MultiBinary():
            return ThresholdedGaussian(space)
        case Discrete():
            return Categorical(space)
        case Box():
            return Gaussian(space)
