"""One iteration of Fig. 5(a): distribute the meta model, return rows of gradients."""

from typing import Annotated, Literal

from pydantic import Field

from twintier.protocol.ids import PlvnName
from twintier.protocol.messages.base import Category, Count, Message, Name, NonNegative, Real, Value
from twintier.protocol.tensors import Tensors


class MetaTrainingSettings(Value):
    """How each twin evaluates the meta model in one iteration."""

    algorithm: Name
    """A learner, such as `maml`; `teacher` is the model-assisted first stage, on the mixture of
    tasks without adaptation."""
    inner_steps: Annotated[int, Field(ge=0, le=10)]
    episodes: Annotated[int, Field(ge=1, le=1000)]
    """Emulated episodes of a twin in each round of data collection."""
    seed: Count


class MetaRoundStarted(Message):
    """The current meta model, for these twins of one edge server.

    `model` holds init (n,), log_step_sizes (n,) and, where it is another vector, prior (n,);
    float32.
    """

    job: Name
    category: Category
    iteration: Count
    deadline_s: NonNegative
    plvns: Annotated[tuple[PlvnName, ...], Field(min_length=1, max_length=1000)]
    schema_id: Name
    model: Tensors
    settings: MetaTrainingSettings


class GradientRow(Value):
    """What one twin contributes; its gradients are the row of the same position."""

    plvn: PlvnName
    adaptation_loss: Real
    adaptation_reward_before: Real
    """Mean J a slot of the first round of emulated episodes."""
    adaptation_reward: Real
    """Mean J a slot of the last round, after the inner steps."""
    slots: Count


class GradientsComputed(Message):
    """Rows of twins of one edge server; each counts once by (job, iteration, PLVN).

    `gradients` holds gradient, step_size_gradient and, where the model has a prior of its own,
    prior_gradient, (rows, n) float32.
    """

    job: Name
    iteration: Count
    rows: Annotated[tuple[GradientRow, ...], Field(min_length=1, max_length=64)]
    gradients: Tensors


class GradientsFailed(Message):
    """Twins that cannot contribute to this iteration, so that the round need not wait."""

    job: Name
    iteration: Count
    plvns: Annotated[tuple[PlvnName, ...], Field(min_length=1, max_length=1000)]
    reason: Annotated[str, Field(max_length=512)]


class MetaProgressReported(Message):
    """A twin's stage in an iteration, for those who watch."""

    job: Name
    iteration: Count
    plvns: Count
    stage: Literal["received", "emulated"]
