"""Which learners are installed: ours and those of other packages, by entry points.

Group `twintier.learner`; the name of an entry point is the learner's, its value a class or a
function without arguments that gives one. Nothing is imported before it is asked for.
"""

from functools import cache

from twintier.learning.errors import SettingsError
from twintier.learning.meta import Learner
from twintier.learning.plugins import made

GROUP = "twintier.learner"


@cache
def learner_of(name: str) -> Learner:
    """The learner of this name.

    Raises:
        SettingsError: if none is installed, or its package cannot be loaded.
    """
    learner = made(GROUP, name)
    if not isinstance(learner, Learner) or learner.name != name:
        raise SettingsError(f"entry point {name!r} of {GROUP} gives no learner of that name")
    return learner
